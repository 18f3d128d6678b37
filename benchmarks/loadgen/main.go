// Command loadgen fills rooms of a LiveKit server with participants who publish encoded speech,
// and writes down who really spoke when. See README.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"
)

const (
	joinAtOnce  = 8
	leaveAtOnce = 32
	gcPercent   = 300 // once all have joined: fewer collections than by default, for some memory
)

func main() {
	o, err := parseOptions(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		complain("%s", err)
		os.Exit(2)
	}
	runtime.GOMAXPROCS(o.procs)
	lksdk.SetLogger(logger.GetDiscardLogger())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, o); err != nil {
		complain("%s", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o *options) error {
	bank, err := loadSpeech()
	if err != nil {
		return err
	}
	var layers []*layer
	if o.video != "off" {
		if layers, err = loadLayers(o.simulcast); err != nil {
			return err
		}
	}
	people := newPeople(o, bank, layers)
	pacer := newPacer()
	pacing, stopPacing := context.WithCancel(context.Background())
	paced := make(chan struct{})
	go func() {
		defer close(paced)
		pacer.run(pacing)
	}()

	ctx, endJoining := context.WithCancel(ctx)
	defer endJoining()
	began := time.Now()
	err = inParallel(people, joinAtOnce, func(p *participant) error {
		if err := p.join(ctx); err != nil {
			return fmt.Errorf("%s could not join: %w", p, err)
		}
		if p.kind != muted {
			pacer.add(p.mic)
		}
		return nil
	})
	if err == nil {
		err = writeTruth(o.truth, people, false)
	}
	if err == nil {
		debug.FreeOSMemory() // joining leaves much more behind than it needs
		debug.SetGCPercent(gcPercent)
		pacer.do(func(slot int64) {
			pacer.worst, pacer.skips = 0, 0
			letTalk(o, pacer, people, slot)
		})
		say("ready", map[string]any{
			"rooms": o.rooms, "participants": len(people), "unix": unixNow(),
			"join_s": time.Since(began).Seconds(), "cpu_s": cpuSeconds(),
		})
		stay(ctx, o, people)
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // told to stop while joining
	}
	endJoining() // or somebody comes back in the middle of it
	_ = inParallel(people, leaveAtOnce, func(p *participant) error {
		p.leave()
		return nil
	})
	stopPacing()
	<-paced
	packets := 0
	for _, p := range people {
		p.mic.finish(unixNow())
		packets += p.mic.packets
	}
	err = errors.Join(err, writeTruth(o.truth, people, true))
	say("stopped", map[string]any{
		"packets": packets, "late_ms": pacer.worst.Milliseconds(), "stalls": pacer.skips,
		"unix": unixNow(), "cpu_s": cpuSeconds(),
	})
	return err
}

// stay lets them talk until the time is over or a signal comes.
func stay(ctx context.Context, o *options, people []*participant) {
	if o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
	}
	var churning sync.WaitGroup
	churning.Go(func() { freezeCameras(ctx, o, people) })
	if o.churn > 0 {
		for room := range o.rooms {
			churning.Go(func() {
				random := rand.New(rand.NewPCG(o.seed, uint64(room)|1<<61))
				from := room * o.participants
				churnRoom(ctx, o.churn, people[from:from+o.participants], random)
			})
		}
	}
	<-ctx.Done()
	churning.Wait()
}

// inParallel does something with everybody, some at a time, and returns the first error.
func inParallel(people []*participant, atOnce int, do func(*participant) error) error {
	var group sync.WaitGroup
	var once sync.Once
	var first error
	places := make(chan struct{}, atOnce)
	failed := make(chan struct{})
	for _, p := range people {
		select {
		case <-failed:
		case places <- struct{}{}:
			group.Go(func() {
				defer func() { <-places }()
				if err := do(p); err != nil {
					once.Do(func() {
						first = err
						close(failed)
					})
				}
			})
		}
	}
	group.Wait()
	return first
}

// say prints one line of JSON for whoever started us.
func say(event string, facts map[string]any) {
	facts["event"] = event
	line, err := json.Marshal(facts)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

func complain(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "loadgen: "+format+"\n", values...)
}

// cpuSeconds is the time that this process has used on all cores.
func cpuSeconds() float64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
