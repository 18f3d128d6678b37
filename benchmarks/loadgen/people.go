package main

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// newPeople makes everybody of every room. Each kind has its share of all, spread evenly.
func newPeople(o *options, bank *speechBank, layers []*layer) []*participant {
	var people []*participant
	for room := range o.rooms {
		random := rand.New(rand.NewPCG(o.seed, uint64(room)))
		name := fmt.Sprintf("%s-%03d", o.prefix, room)
		kinds := kindsOf(o, room, random)
		cameras := 0
		if o.video != "off" {
			cameras = partOf(o.videoShare, o.participants, room)
		}
		withCamera := random.Perm(o.participants)
		freezing := partOf(o.freezeShare, cameras, room)
		for i := range o.participants {
			p := &participant{
				options:  o,
				room:     name,
				identity: fmt.Sprintf("p-%03d", i),
				kind:     kinds[i],
			}
			if withCamera[i] < cameras {
				p.layers = layers
				p.freezes = withCamera[i] < freezing
			}
			own := rand.New(rand.NewPCG(o.seed, uint64(room)<<32|uint64(i)|1<<63))
			p.mic = newMicrophone(o, p, len(people), bank, own)
			people = append(people, p)
		}
	}
	return people
}

func newMicrophone(o *options, p *participant, index int, bank *speechBank, random *rand.Rand) *microphone {
	m := &microphone{
		id:        "microphone-" + p.identity,
		index:     index,
		dtx:       o.dtx,
		levels:    p.kind != noLevels,
		noise:     bank.noise,
		noiseAt:   random.IntN(len(bank.noise)),
		voice:     &bank.normal,
		random:    random,
		burstMean: o.burst.Seconds(),
	}
	if p.kind == quiet {
		m.voice = &bank.quiet
	}
	return m
}

// kindsOf deals the kinds of one room.
func kindsOf(o *options, room int, random *rand.Rand) []kind {
	kinds := make([]kind, 0, o.participants)
	deal := func(k kind, count int) {
		for range min(count, o.participants-len(kinds)) {
			kinds = append(kinds, k)
		}
	}
	deal(muted, partOf(o.muted, o.participants, room))
	deal(quiet, partOf(o.quiet, o.participants, room))
	deal(noLevels, partOf(o.noLevels, o.participants, room))
	deal(normal, o.participants)
	random.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	return kinds
}

// partOf is how many of a room a share makes, so that over all rooms the share is right.
func partOf(share float64, people, room int) int {
	upTo := func(rooms int) int { return int(math.Floor(share*float64(people*rooms) + 0.5)) }
	return upTo(room+1) - upTo(room)
}

// letTalk plans the first turns of everybody; the pacer runs it.
func letTalk(o *options, p *pacer, people []*participant, slot int64) {
	talkers := map[string][]*microphone{}
	var rooms []string
	for _, one := range people {
		if one.kind == muted {
			continue
		}
		if talkers[one.room] == nil {
			rooms = append(rooms, one.room)
		}
		talkers[one.room] = append(talkers[one.room], one.mic)
	}
	for i, room := range rooms {
		if o.talkingAtOnce > 0 {
			random := rand.New(rand.NewPCG(o.seed, uint64(i)|1<<62))
			floors := newFloors(o.talkingAtOnce, o.participants, o.burst.Seconds(), talkers[room], random)
			for _, f := range floors {
				f.free += slot
			}
			p.floors = append(p.floors, floors...)
			continue
		}
		if o.talkShare == 0 {
			continue
		}
		for _, m := range talkers[room] {
			m.gap = gapAfter(o.talkShare, m.random)
			cycle := o.burst.Seconds() / o.talkShare * float64(slotsPerSec)
			m.talk(slot + dtxSlots + 1 + int64(m.random.Float64()*cycle))
		}
	}
}
