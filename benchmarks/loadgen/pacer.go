package main

import (
	"context"
	"time"
)

const (
	slotTime      = 5 * time.Millisecond
	slotsPerFrame = int64(frameTime / slotTime)
	slotsPerSec   = int64(time.Second / slotTime)
	dtxSlots      = 80 // 400 ms, between the packets of a silent encoder
	wheelSize     = 128
	stallSlots    = 40 // who is this late skips what was missed, as a computer that hung
	planEvery     = 20
)

// pacer gives every microphone its turns from one goroutine: a timer wheel with slots of 5 ms.
type pacer struct {
	wheel  [wheelSize][]*microphone
	begin  time.Time
	floors []*floor
	orders chan func(slot int64)

	worst time.Duration
	skips int
}

func newPacer() *pacer {
	return &pacer{begin: time.Now(), orders: make(chan func(slot int64), 64)}
}

// unix is the wall-clock time of a slot in seconds.
func (p *pacer) unix(slot int64) float64 {
	return float64(p.begin.UnixMicro())/1e6 + float64(slot)*slotTime.Seconds()
}

// do lets the pacer run something in its next slot: whoever wants to change what the pacer owns
// asks it to. It must be running.
func (p *pacer) do(order func(slot int64)) { p.orders <- order }

// add gives a microphone its turns from now on.
func (p *pacer) add(m *microphone) {
	p.do(func(slot int64) { p.schedule(m, slot+1+int64(m.index)%slotsPerFrame) })
}

// run paces until the context ends. No microphone is touched afterwards.
func (p *pacer) run(ctx context.Context) {
	var slot int64
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		due := p.begin.Add(time.Duration(slot) * slotTime)
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
		} else {
			p.late(-wait)
			if ctx.Err() != nil {
				return
			}
		}
		p.turn(slot)
		slot++
	}
}

func (p *pacer) late(by time.Duration) {
	p.worst = max(p.worst, by)
	if by > stallSlots*slotTime {
		p.begin = p.begin.Add(by)
		p.skips++
	}
}

func (p *pacer) turn(slot int64) {
	for len(p.orders) > 0 {
		(<-p.orders)(slot)
	}
	if slot%planEvery == 0 {
		for _, f := range p.floors {
			f.plan(slot)
		}
	}
	here := &p.wheel[slot%wheelSize]
	turns := *here
	for _, m := range turns {
		// Nobody is due further ahead than the wheel is long, and nobody again in this slot.
		p.schedule(m, m.step(p, slot))
	}
	clear(turns)
	*here = turns[:0]
}

func (p *pacer) schedule(m *microphone, slot int64) {
	here := &p.wheel[slot%wheelSize]
	*here = append(*here, m)
}
