package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/webrtc/v4"
)

const (
	joinTries   = 3
	joinTimeout = 20 * time.Second
	rejoinAfter = 2 * time.Second
	// What browsers do: a sender report every second for video, every five for audio alone.
	videoReports = time.Second
	audioReports = 5 * time.Second
	nackBuffer   = 128
)

// kind is what makes a participant special.
type kind string

const (
	normal   kind = "normal"
	quiet    kind = "quiet"
	noLevels kind = "no_levels"
	muted    kind = "muted"
)

type participant struct {
	options  *options
	room     string
	identity string
	kind     kind
	layers   []*layer // of the camera, if there is one
	mic      *microphone

	joining sync.Mutex // one joins, leaves or mutes at a time
	joined  *lksdk.Room
	leaving *atomic.Bool
	lost    atomic.Int64

	freezes bool // its camera does, once
	frozen  atomic.Bool

	mutedAt, frozenAt, present []span
}

// join joins and publishes, in the one exchange of messages that the server needs for both.
func (p *participant) join(ctx context.Context) (err error) {
	p.joining.Lock()
	defer p.joining.Unlock()
	if p.joined != nil {
		return nil
	}
	for range joinTries {
		if err = p.joinOnce(ctx); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func (p *participant) joinOnce(whole context.Context) error {
	ctx, cancel := context.WithTimeout(whole, joinTimeout)
	defer cancel()
	token, err := p.token()
	if err != nil {
		return err
	}
	options, err := p.connectOptions()
	if err != nil {
		return err
	}
	leaving := &atomic.Bool{}
	room := lksdk.NewRoom(p.callback(whole, leaving))
	if err := room.JoinWithContextAndToken(ctx, p.options.url, token, options...); err != nil {
		return err
	}
	p.joined, p.leaving = room, leaving
	p.present = append(p.present, span{unixNow(), 0})
	if p.kind == muted {
		p.setMuted(true)
	}
	return nil
}

func (p *participant) callback(ctx context.Context, leaving *atomic.Bool) *lksdk.RoomCallback {
	return &lksdk.RoomCallback{
		OnReconnected: func() { go p.muteAgain() },
		OnDisconnectedWithReason: func(reason lksdk.DisconnectionReason) {
			if !leaving.Load() {
				p.lost.Store(time.Now().UnixMicro())
				complain("%s lost its connection: %s", p, reason)
				go p.comeBack(ctx)
			}
		},
	}
}

func (p *participant) token() (string, error) {
	yes, no := true, false
	grant := &auth.VideoGrant{RoomJoin: true, Room: p.room, CanPublish: &yes, CanSubscribe: &no}
	return auth.NewAccessToken(p.options.apiKey, p.options.apiSecret).
		SetIdentity(p.identity).
		SetVideoGrant(grant).
		SetValidFor(24 * time.Hour).
		ToJWT()
}

// connectOptions leaves out what costs and nobody needs here: a second PeerConnection, the codecs
// that are not sent, and the interceptors for receiving, whose timers tick however idle it is.
func (p *participant) connectOptions() ([]lksdk.ConnectOption, error) {
	reports := audioReports
	// The SDK offers to receive video on joining, which fails without a codec for it.
	codecs := []livekit.Codec{{Mime: webrtc.MimeTypeOpus}, {Mime: webrtc.MimeTypeVP8}}
	var interceptors []interceptor.Factory
	if p.layers != nil {
		reports = videoReports
		resend, err := nack.NewResponderInterceptor(nack.ResponderSize(nackBuffer))
		if err != nil {
			return nil, err
		}
		interceptors = append(interceptors, resend)
	}
	sender, err := report.NewSenderInterceptor(report.SenderInterval(reports))
	if err != nil {
		return nil, err
	}
	options := []lksdk.ConnectOption{
		lksdk.WithAutoSubscribe(false),
		lksdk.WithConnectTimeout(joinTimeout),
		lksdk.WithSinglePeerConnection(),
		lksdk.WithCodecs(codecs),
		lksdk.WithInterceptors(append(interceptors, sender)),
		lksdk.WithDisableRegionDiscovery(),
		lksdk.WithTrack(p.mic, &lksdk.TrackPublicationOptions{
			Name: "microphone", Source: livekit.TrackSource_MICROPHONE, DisableDTX: !p.mic.dtx,
		}),
	}
	if p.layers != nil {
		camera, err := cameraOption(p.identity, p.layers, &p.frozen)
		if err != nil {
			return nil, err
		}
		options = append(options, camera)
	}
	return options, nil
}

// comeBack joins again after the SDK gave up, until it works.
func (p *participant) comeBack(ctx context.Context) {
	p.leave()
	for pause(ctx, rejoinAfter) {
		if p.join(ctx) == nil {
			return
		}
	}
}

// leave leaves the room; nothing happens to who is not in it.
func (p *participant) leave() {
	p.joining.Lock()
	defer p.joining.Unlock()
	if p.joined == nil {
		return
	}
	p.leaving.Store(true)
	now := unixNow()
	p.mic.Unbind(nil)
	for _, publication := range p.joined.LocalParticipant.TrackPublications() {
		if local, ok := publication.(*lksdk.LocalTrackPublication); ok {
			local.CloseTrack()
		}
	}
	p.joined.Disconnect()
	p.joined = nil
	if lost := p.lost.Swap(0); lost != 0 {
		now = float64(lost) / 1e6
	}
	closeSpan(p.present, now)
	if p.mic.muted.Swap(false) {
		closeSpan(p.mutedAt, now)
	}
}

// mute mutes or unmutes the microphone of who is in the room.
func (p *participant) mute(on bool) {
	p.joining.Lock()
	defer p.joining.Unlock()
	if p.joined != nil && p.mic.muted.Load() != on {
		p.setMuted(on)
	}
}

func (p *participant) setMuted(on bool) {
	p.mic.muted.Store(on)
	if on {
		p.mutedAt = append(p.mutedAt, span{unixNow(), 0})
	} else {
		closeSpan(p.mutedAt, unixNow())
	}
	p.tellMuted(on)
}

// muteAgain tells a restarted server of a mute: the SDK publishes again, but unmuted.
func (p *participant) muteAgain() {
	p.joining.Lock()
	defer p.joining.Unlock()
	if p.joined != nil && p.mic.muted.Load() {
		p.tellMuted(true)
	}
}

func (p *participant) tellMuted(on bool) {
	publication := p.joined.LocalParticipant.GetTrackPublication(livekit.TrackSource_MICROPHONE)
	if local, ok := publication.(*lksdk.LocalTrackPublication); ok {
		local.SetMuted(on)
		return
	}
	complain("%s has no microphone to mute", p)
}

func (p *participant) String() string { return fmt.Sprintf("%s in %s", p.identity, p.room) }
