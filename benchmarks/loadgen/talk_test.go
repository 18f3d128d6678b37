package main

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/pion/rtp"
)

// tape is a connection that keeps what is written.
type tape struct{ packets []rtp.Packet }

func (t *tape) WriteRTP(header *rtp.Header, payload []byte) (int, error) {
	t.packets = append(t.packets, rtp.Packet{Header: header.Clone(), Payload: append([]byte{}, payload...)})
	return len(payload), nil
}

func (t *tape) Write(b []byte) (int, error) { return len(b), nil }

// play lets people talk for a while on a clock of its own, without a server.
func play(t *testing.T, o *options, seconds int) ([]*participant, []*tape) {
	t.Helper()
	bank, err := loadSpeech()
	if err != nil {
		t.Fatal(err)
	}
	people := newPeople(o, bank, nil)
	tapes := make([]*tape, len(people))
	p := newPacer()
	for i, one := range people {
		tapes[i] = &tape{}
		one.mic.sink.Store(&binding{writer: tapes[i], header: rtp.Header{Version: 2}})
		if one.kind != muted {
			p.add(one.mic)
		}
	}
	p.do(func(slot int64) { letTalk(o, p, people, slot) })
	for slot := range int64(seconds) * slotsPerSec {
		p.turn(slot)
	}
	for _, one := range people {
		one.mic.finish(p.unix(int64(seconds) * slotsPerSec))
	}
	return people, tapes
}

func some(change func(*options)) *options {
	o := &options{rooms: 1, participants: 40, prefix: "r", talkShare: 0.2, burst: 4e9, seed: 7, video: "off"}
	change(o)
	return o
}

func total(spans []span) (sum float64) {
	for _, s := range spans {
		sum += s[1] - s[0]
	}
	return sum
}

func TestEverybodyTalksTheirShare(t *testing.T) {
	people, _ := play(t, some(func(*options) {}), 600)
	share := 0.0
	for _, p := range people {
		share += total(p.mic.bursts) / 600 / float64(len(people))
	}
	if math.Abs(share-0.2) > 0.02 {
		t.Errorf("share %.3f", share)
	}
}

// Short bursts are what is hard to meter: they must not grow to the length of a phrase.
func TestBurstsAreAsLongAsWanted(t *testing.T) {
	for _, share := range []float64{0, 1} {
		for _, mean := range []float64{1.5, 4, 6} {
			change := func(o *options) {
				o.burst, o.quiet, o.dtx = time.Duration(mean*float64(time.Second)), share, true
			}
			people, _ := play(t, some(change), 600)
			length, count := 0.0, 0
			for _, p := range people {
				length += total(p.mic.bursts)
				count += len(p.mic.bursts)
			}
			if got := length / float64(count); math.Abs(got/mean-1) > 0.1 {
				t.Errorf("share of quiet voices %g: bursts of %.2f s, not %.1f", share, got, mean)
			}
		}
	}
}

func TestFloorsLetSoManyTalkAtATime(t *testing.T) {
	for _, percent := range []float64{1, 5, 25} {
		people, _ := play(t, some(func(o *options) { o.talkingAtOnce = percent; o.dtx = true }), 600)
		talking := 0.0
		for _, p := range people {
			talking += total(p.mic.bursts) / 600
		}
		if want := percent / 100 * 40; math.Abs(talking-want) > 0.15*want+0.02 {
			t.Errorf("%.2f talk at a time, not %.2f", talking, want)
		}
	}
}

func TestTheSameSeedGivesTheSameTurns(t *testing.T) {
	turns := func() (all [][]int) {
		people, _ := play(t, some(func(o *options) { o.muted, o.quiet = 0.2, 0.3 }), 60)
		for _, p := range people {
			own := []int{len(p.kind)}
			for _, b := range p.mic.bursts {
				own = append(own, int(math.Round((b[1]-b[0])*1000)))
			}
			all = append(all, own)
		}
		return all
	}
	if first := turns(); !reflect.DeepEqual(first, turns()) {
		t.Error("two runs differ")
	}
}

func TestSilenceWithDTXIsOnePacketEvery400ms(t *testing.T) {
	_, tapes := play(t, some(func(o *options) { o.talkShare = 0; o.dtx = true }), 60)
	for _, own := range tapes {
		if n := len(own.packets); n < 148 || n > 152 {
			t.Fatalf("%d packets in 60 s", n)
		}
		if last := own.packets[len(own.packets)-1]; len(last.Payload) != 1 {
			t.Fatalf("silence of %d bytes", len(last.Payload))
		}
	}
}

func TestTimestampsFollowTheClockAndSequenceNumbersHaveNoGap(t *testing.T) {
	for _, dtx := range []bool{false, true} {
		_, tapes := play(t, some(func(o *options) { o.dtx = dtx }), 60)
		for i, packet := range tapes[3].packets[1:] {
			before := tapes[3].packets[i]
			ahead := packet.Timestamp - before.Timestamp
			if packet.SequenceNumber != before.SequenceNumber+1 || ahead < 960 || ahead%240 != 0 {
				t.Fatalf("packet %d: %d after %d", i, packet.Timestamp, before.Timestamp)
			}
			if !dtx && ahead != 960 {
				t.Fatalf("a gap of %d without DTX", ahead)
			}
		}
	}
}

func TestSegmentsAreTheSpeechInTheBursts(t *testing.T) {
	for i, dtx := range []bool{false, true, false, true} {
		short := func(o *options) {
			o.dtx = dtx
			if i >= 2 { // phrases are cut
				o.burst = 1.5e9
			}
		}
		people, _ := play(t, some(short), 120)
		for _, p := range people {
			speech := total(p.mic.segments) / total(p.mic.bursts)
			if len(p.mic.bursts) > 0 && (speech < 0.6 || speech > 0.96) {
				t.Errorf("%.2f of the turns is speech", speech)
			}
			for i, s := range p.mic.segments {
				if s[1]-s[0] < 0.2 && i < len(p.mic.segments)-1 { // the end may cut the last
					t.Errorf("a segment of %.3f s", s[1]-s[0])
				}
			}
		}
	}
}

func TestWhoIsMutedTalksOnUnheard(t *testing.T) {
	bank, err := loadSpeech()
	if err != nil {
		t.Fatal(err)
	}
	p := newPacer()
	own := &tape{}
	m := newPeople(some(func(o *options) { o.participants = 1 }), bank, nil)[0].mic
	m.sink.Store(&binding{writer: own})
	p.add(m)
	p.do(func(slot int64) { m.talk(slot + 1) })
	for slot := range 4 * slotsPerSec {
		m.muted.Store(slot >= slotsPerSec/2 && slot < slotsPerSec)
		p.turn(slot)
	}
	if len(m.segments) < 2 || math.Abs(m.segments[0][1]-p.unix(slotsPerSec/2)) > 0.03 ||
		math.Abs(m.segments[1][0]-p.unix(slotsPerSec)) > 0.03 {
		t.Errorf("segments %v from %f", m.segments, p.unix(0))
	}
}

func TestSharesAreRightOverAllRooms(t *testing.T) {
	o := some(func(o *options) { o.rooms, o.participants, o.muted, o.noLevels = 30, 5, 0.3, 0.1 })
	bank, err := loadSpeech()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[kind]int{}
	for _, p := range newPeople(o, bank, nil) {
		counts[p.kind]++
	}
	if want := (map[kind]int{muted: 45, noLevels: 15, normal: 90}); !reflect.DeepEqual(counts, want) {
		t.Errorf("%v", counts)
	}
}
