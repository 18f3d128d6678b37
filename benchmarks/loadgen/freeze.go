package main

import (
	"context"
	"time"
)

// freezeCameras stops the pictures of the cameras that shall freeze, at one time for all, and lets
// them go on later. Their tracks stay published and unmuted, as with a camera that hangs.
func freezeCameras(ctx context.Context, o *options, people []*participant) {
	if o.freezeShare == 0 || !pause(ctx, o.freezeAfter) {
		return
	}
	began := unixNow()
	setFrozen(people, true)
	ended := 0.0
	if pause(ctx, o.freezeFor) {
		ended = unixNow()
		setFrozen(people, false)
	}
	for _, p := range people {
		if p.freezes {
			p.frozenAt = append(p.frozenAt, span{began, ended})
		}
	}
	if ended == 0 { // it was stopped before
		for _, p := range people {
			closeSpan(p.frozenAt, unixNow())
		}
	}
}

func setFrozen(people []*participant, on bool) {
	for _, p := range people {
		if p.freezes {
			p.frozen.Store(on)
		}
	}
}

const (
	defaultFreezeAfter = 60 * time.Second
	defaultFreezeFor   = 90 * time.Second
)
