package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
)

const cameraFPS = 15

// layer is one size of the pictures of all cameras.
type layer struct {
	quality       livekit.VideoQuality
	width, height int
	frames        [][]byte
}

func loadLayers(simulcast bool) ([]*layer, error) {
	layers := []*layer{{quality: livekit.VideoQuality_HIGH, width: 640, height: 360}}
	if simulcast {
		layers = []*layer{
			{quality: livekit.VideoQuality_LOW, width: 320, height: 180},
			{quality: livekit.VideoQuality_MEDIUM, width: 640, height: 360},
			{quality: livekit.VideoQuality_HIGH, width: 1280, height: 720},
		}
	}
	for _, l := range layers {
		frames, err := loadLayer(l.height)
		if err != nil {
			return nil, err
		}
		l.frames = frames
	}
	return layers, nil
}

// loop plays the frames of a layer over and over; it begins again, with the key frame, when
// somebody asks for one. The SDK paces it, and drops it while dynacast has no use for the layer.
type loop struct {
	lksdk.BaseSampleProvider
	frames  [][]byte
	next    int
	restart atomic.Bool
	frozen  *atomic.Bool // of the whole camera; meanwhile nothing is sent
}

func (l *loop) NextSample(context.Context) (media.Sample, error) {
	if l.frozen.Load() {
		l.next = 0 // it goes on with a key frame
		return media.Sample{Duration: time.Second / cameraFPS}, nil
	}
	if l.restart.Swap(false) {
		l.next = 0
	}
	sample := media.Sample{Data: l.frames[l.next], Duration: time.Second / cameraFPS}
	l.next = (l.next + 1) % len(l.frames)
	return sample, nil
}

func (l *loop) onRTCP(packet rtcp.Packet) {
	switch packet.(type) {
	case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
		l.restart.Store(true)
	}
}

// cameraOption makes the tracks of one camera, to be published on joining.
func cameraOption(identity string, layers []*layer, frozen *atomic.Bool) (lksdk.ConnectOption, error) {
	tracks := make([]*lksdk.LocalTrack, len(layers))
	for i, l := range layers {
		frames := &loop{frames: l.frames, frozen: frozen}
		options := []lksdk.LocalTrackOptions{lksdk.WithRTCPHandler(frames.onRTCP)}
		if len(layers) > 1 {
			options = append(options, lksdk.WithSimulcast("camera-"+identity, &livekit.VideoLayer{
				Quality: l.quality, Width: uint32(l.width), Height: uint32(l.height),
			}))
		}
		capability := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90_000}
		track, err := lksdk.NewLocalTrack(capability, options...)
		if err != nil {
			return nil, err
		}
		if err := track.StartWrite(frames, nil); err != nil {
			return nil, err
		}
		tracks[i] = track
	}
	top := layers[len(layers)-1]
	published := &lksdk.TrackPublicationOptions{
		Name: "camera", Source: livekit.TrackSource_CAMERA,
		VideoWidth: top.width, VideoHeight: top.height,
	}
	if len(tracks) > 1 {
		return lksdk.WithSimulcastTrack(tracks, published), nil
	}
	return lksdk.WithTrack(tracks[0], published), nil
}
