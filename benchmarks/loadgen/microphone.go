package main

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"

	"github.com/pion/rtp"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

const (
	clockPerSlot   = 48_000 / slotsPerSec
	hangoverFrames = 10 // an encoder with DTX goes on for 200 ms of silence
)

// binding is where the packets of a microphone go while it is published.
type binding struct {
	writer webrtc.TrackLocalWriter
	header rtp.Header
	level  []byte // the payload of the header's audio-level extension, or nil
}

// microphone is a track of encoded speech that the pacer drives. It writes packets with one header
// that it keeps, because the general tracks of the SDK allocate several objects a packet.
type microphone struct {
	id        string
	index     int
	dtx       bool
	levels    bool
	noise     clip
	voice     *voice
	random    *rand.Rand
	gap       func(frames int) int64 // slots until the next burst, or nil: a floor plans it
	burstMean float64

	sink  atomic.Pointer[binding]
	muted atomic.Bool

	// The rest belongs to the pacer.
	planned    []frame
	plannedAt  int64
	saying     []frame
	burstFrom  float64
	noiseAt    int
	hangover   int
	lastSent   int64
	silent     bool
	sequence   uint16
	toc        [1]byte
	packets    int
	segments   []span
	bursts     []span
	openSpeech bool
}

// Bind takes what was negotiated; the SDK calls it, again after a full reconnect.
func (m *microphone) Bind(t webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	for _, codec := range t.CodecParameters() {
		if !strings.EqualFold(codec.MimeType, webrtc.MimeTypeOpus) {
			continue
		}
		b := &binding{writer: t.WriteStream(), header: rtp.Header{
			Version:     2,
			PayloadType: uint8(codec.PayloadType),
			SSRC:        uint32(t.SSRC()),
		}}
		for _, extension := range t.HeaderExtensions() {
			if m.levels && extension.URI == sdp.AudioLevelURI {
				b.level = make([]byte, 1)
				if err := b.header.SetExtension(uint8(extension.ID), b.level); err != nil {
					return codec, err
				}
			}
		}
		m.sink.Store(b)
		return codec, nil
	}
	return webrtc.RTPCodecParameters{}, errors.New("no Opus was negotiated")
}

func (m *microphone) Unbind(webrtc.TrackLocalContext) error {
	m.sink.Store(nil)
	return nil
}

func (m *microphone) ID() string                { return m.id }
func (m *microphone) RID() string               { return "" }
func (m *microphone) StreamID() string          { return m.id }
func (m *microphone) Kind() webrtc.RTPCodecType { return webrtc.RTPCodecTypeAudio }

func (m *microphone) Codec() webrtc.RTPCodecCapability {
	return webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48_000, Channels: 2}
}

// free says whether a burst can be planned for it.
func (m *microphone) free() bool {
	return m.planned == nil && len(m.saying) == 0 && !m.muted.Load() && m.sink.Load() != nil
}

// step sends what is due in this slot and returns the slot of the next step.
func (m *microphone) step(p *pacer, slot int64) int64 {
	if len(m.saying) == 0 && m.planned != nil && slot >= m.plannedAt {
		m.saying, m.planned = m.planned, nil
		m.burstFrom = p.unix(slot)
	}
	if len(m.saying) > 0 {
		m.send(&m.saying[0], p, slot)
		if m.saying = m.saying[1:]; len(m.saying) == 0 {
			m.endBurst(p, slot+slotsPerFrame)
		}
		return slot + slotsPerFrame
	}
	m.noiseAt = (m.noiseAt + 1) % len(m.noise)
	m.send(&m.noise[m.noiseAt], p, slot)
	if !m.dtx || m.hangover > 0 || !m.silent {
		return slot + slotsPerFrame
	}
	next := slot + dtxSlots
	if m.planned != nil {
		next = min(next, max(m.plannedAt, slot+slotsPerFrame))
	}
	return next
}

func (m *microphone) endBurst(p *pacer, slot int64) {
	end := p.unix(slot)
	m.bursts = append(m.bursts, span{m.burstFrom, end})
	if m.gap != nil {
		m.talk(slot + m.gap(int((end-m.burstFrom)/frameS)))
	}
}

// finish ends the burst that is under way when the pacer stops.
func (m *microphone) finish(now float64) {
	if len(m.saying) > 0 {
		m.bursts = append(m.bursts, span{m.burstFrom, now})
	}
}

// talk plans a burst. Without DTX it begins within 20 ms of the slot.
func (m *microphone) talk(slot int64) {
	m.planned, m.plannedAt = m.burst(), slot
}

// send writes one packet, or nothing where an encoder with DTX would not.
func (m *microphone) send(f *frame, p *pacer, slot int64) {
	data := f.data
	wasSilent := m.silent
	switch {
	case !m.dtx:
	case f.active:
		m.hangover, m.silent = hangoverFrames, false
	case m.hangover > 0:
		m.hangover--
	case !m.silent || slot-m.lastSent >= dtxSlots:
		// A packet of nothing but its first byte says "silence" to every decoder.
		m.silent = true
		m.toc[0] = f.data[0]
		data = m.toc[:]
	default:
		return
	}
	m.lastSent = slot
	b := m.sink.Load()
	if b == nil || m.muted.Load() {
		m.openSpeech = false
		return
	}
	m.sequence++
	b.header.SequenceNumber = m.sequence
	b.header.Timestamp = uint32(slot * clockPerSlot)
	b.header.Marker = wasSilent && !m.silent
	if b.level != nil {
		b.level[0] = f.level
		if f.speech() {
			b.level[0] |= 0x80
		}
	}
	// Nothing is written, without an error, as long as the connection is not encrypted yet.
	if n, err := b.writer.WriteRTP(&b.header, data); err != nil || n == 0 {
		m.openSpeech = false
		return
	}
	m.packets++
	m.record(f, p.unix(slot))
}

// record extends the truth by the speech in a packet that was sent.
func (m *microphone) record(f *frame, at float64) {
	if !f.speech() {
		m.openSpeech = false
		return
	}
	if m.openSpeech && f.from == 0 {
		m.segments[len(m.segments)-1][1] = at + f.to
	} else {
		m.segments = append(m.segments, span{at + f.from, at + f.to})
	}
	m.openSpeech = f.to >= frameS-1e-9
}
