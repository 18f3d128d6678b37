package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// churnRoom lets now somebody mute and now somebody leave, and undo it some seconds later.
func churnRoom(ctx context.Context, every time.Duration, people []*participant, random *rand.Rand) {
	var away sync.WaitGroup
	defer away.Wait()
	for pause(ctx, time.Duration((0.5+random.Float64())*float64(every))) {
		p := people[random.IntN(len(people))]
		back := 3*time.Second + time.Duration(random.Int64N(int64(5*time.Second)))
		mutes := random.IntN(2) == 0 && p.kind != muted
		away.Go(func() {
			if mutes {
				p.mute(true)
				if pause(ctx, back) {
					p.mute(false)
				}
				return
			}
			p.leave()
			if !pause(ctx, back) {
				return
			}
			if err := p.join(ctx); err != nil && ctx.Err() == nil {
				complain("%s could not join again: %s", p, err)
			}
		})
	}
}

// pause waits, and says whether it was not cut short.
func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
