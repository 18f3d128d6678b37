package main

import (
	"math"
	"math/rand/v2"
)

const (
	leadSlots      = 100 // a silent microphone looks up what is planned every 80
	minPauseFrames = 5
	maxPauseFrames = 25
)

// burst strings phrases together until about the wanted length, with short pauses in between.
func (m *microphone) burst() []frame {
	wanted := m.burstFrames()
	phrases := m.voice.phrases
	pick := m.random.IntN(len(phrases))
	if len(phrases[pick]) > wanted {
		return m.voice.nearest(wanted)
	}
	said := append([]frame{}, phrases[pick]...)
	for {
		if next := m.random.IntN(len(phrases)); next != pick {
			pick = next
		} else {
			pick = (pick + 1) % len(phrases)
		}
		phrase := phrases[pick]
		pause := minPauseFrames + m.random.IntN(maxPauseFrames-minPauseFrames)
		// One more only if it ends nearer to the wanted length than what there is.
		if len(said)+(pause+len(phrase))/2 > wanted {
			return said
		}
		from := m.random.IntN(len(m.noise) - pause)
		said = append(said, m.noise[from:from+pause]...)
		said = append(said, phrase...)
	}
}

// nearest is the phrase, or the part of one, whose length is nearest to the wanted: most phrases
// are longer than a short burst.
func (v *voice) nearest(frames int) clip {
	best := v.phrases[0]
	for _, clips := range [][]clip{v.phrases, v.parts} {
		for _, c := range clips {
			if apart(len(c), frames) < apart(len(best), frames) {
				best = c
			}
		}
	}
	return best
}

func apart(a, b int) int { return max(a-b, b-a) }

// burstFrames varies by half of the mean on either side.
func (m *microphone) burstFrames() int {
	return int(m.burstMean * (0.5 + m.random.Float64()) / frameS)
}

// gapAfter returns how long somebody with this share of talk waits after a burst, in slots.
func gapAfter(share float64, random *rand.Rand) func(frames int) int64 {
	return func(frames int) int64 {
		if share >= 1 {
			return 0
		}
		mean := float64(frames) * (1 - share) / share
		// Not purely exponential: hours of waiting would leave a short run without the share.
		return int64(mean*(0.5+random.Float64())) * slotsPerFrame
	}
}

// floor is the right to speak in a room. It passes from one free talker to the next; a share of
// less than one leaves it unused in between. A room has as many as shall talk at a time.
type floor struct {
	talkers []*microphone
	random  *rand.Rand
	gap     func(frames int) int64
	free    int64
}

// newFloors lets `percent` of all in the room talk at a time on average.
func newFloors(percent float64, people int, burstS float64, talkers []*microphone, random *rand.Rand) []*floor {
	atOnce := min(percent/100*float64(people), float64(len(talkers)))
	count := int(math.Ceil(atOnce))
	floors := make([]*floor, count)
	for i := range floors {
		share := atOnce / float64(count)
		floors[i] = &floor{
			talkers: talkers,
			random:  random,
			gap:     gapAfter(share, random),
			free:    int64(random.Float64() * burstS / share * float64(slotsPerSec)),
		}
	}
	return floors
}

// plan gives the floor to somebody a little ahead of time, so that even the silent hear of it.
func (f *floor) plan(slot int64) {
	if slot < f.free-leadSlots {
		return
	}
	from := f.random.IntN(len(f.talkers))
	for i := range f.talkers {
		m := f.talkers[(from+i)%len(f.talkers)]
		if m.free() {
			begin := max(f.free, slot+dtxSlots+1)
			m.talk(begin)
			f.free = begin + int64(len(m.planned))*slotsPerFrame + f.gap(len(m.planned))
			return
		}
	}
}
