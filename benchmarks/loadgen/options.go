package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"time"
)

type options struct {
	url, apiKey, apiSecret string

	rooms, participants int
	prefix              string

	talkShare, talkingAtOnce float64
	burst                    time.Duration
	muted, quiet, noLevels   float64
	dtx                      bool
	video                    string
	simulcast                bool
	videoShare, freezeShare  float64
	freezeAfter, freezeFor   time.Duration

	churn    time.Duration
	seed     uint64
	duration time.Duration
	truth    string
	procs    int
}

// parseOptions reads the flags; the credentials come from the environment alone, because arguments
// show in the process list.
func parseOptions(arguments []string) (*options, error) {
	o := &options{
		apiKey:    os.Getenv("LIVEKIT_API_KEY"),
		apiSecret: os.Getenv("LIVEKIT_API_SECRET"),
	}
	url := os.Getenv("LIVEKIT_URL")
	if url == "" {
		url = "ws://localhost:7880"
	}
	f := flag.NewFlagSet("loadgen", flag.ContinueOnError)
	f.StringVar(&o.url, "url", url, "the `server`; LIVEKIT_URL if not given")
	f.IntVar(&o.rooms, "rooms", 1, "how many rooms")
	f.IntVar(&o.participants, "participants", 3, "how many participants in each room")
	f.StringVar(&o.prefix, "room-prefix", "load", "the rooms are `prefix`-000, prefix-001, ...")
	f.Float64Var(&o.talkShare, "talk-share", 0.1, "mean share of the time that each one talks, 0 to 1")
	f.Float64Var(&o.talkingAtOnce, "talking-at-once", 0, "instead: how many `percent` of each room talk at a time")
	f.DurationVar(&o.burst, "burst", 4*time.Second, "mean length of a turn, phrases with short pauses")
	f.Float64Var(&o.muted, "muted", 0, "share of participants whose microphone stays muted")
	f.Float64Var(&o.quiet, "quiet", 0, "share who speak at -37 dBov instead of -26")
	f.Float64Var(&o.noLevels, "no-levels", 0, "share who send no audio levels")
	f.BoolVar(&o.dtx, "dtx", false, "send one packet every 400 ms in silence, not the noise of a room")
	f.StringVar(&o.video, "video", "off", "cameras: off, or vp8 at 640x360")
	f.BoolVar(&o.simulcast, "simulcast", false, "cameras have three layers up to 1280x720")
	f.Float64Var(&o.videoShare, "video-share", 1, "share of participants who have a camera, with -video")
	f.Float64Var(&o.freezeShare, "freeze-share", 0, "share of the cameras whose picture freezes for a while")
	f.DurationVar(&o.freezeAfter, "freeze-after", defaultFreezeAfter, "when that begins, from the moment that all are there")
	f.DurationVar(&o.freezeFor, "freeze-for", defaultFreezeFor, "how long it lasts")
	f.DurationVar(&o.churn, "churn", 0, "how often in each room somebody mutes, or leaves, and undoes it seconds later")
	f.Uint64Var(&o.seed, "seed", 1, "the same seed gives the same people and the same turns")
	f.DurationVar(&o.duration, "duration", 0, "how long from the moment that all are there; 0 for ever")
	f.StringVar(&o.truth, "truth", "", "write who really spoke when to this JSON `file`")
	f.IntVar(&o.procs, "procs", 1, "GOMAXPROCS: one costs the least")
	if err := f.Parse(arguments); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("nothing is known about %q", f.Arg(0))
	}
	return o, o.check()
}

func (o *options) check() error {
	var wrong []error
	expect := func(holds bool, format string, values ...any) {
		if !holds {
			wrong = append(wrong, fmt.Errorf(format, values...))
		}
	}
	expect(o.apiKey != "" && o.apiSecret != "", "LIVEKIT_API_KEY and LIVEKIT_API_SECRET must be set")
	expect(o.rooms > 0 && o.participants > 0, "-rooms and -participants must be at least 1")
	shares := map[string]float64{
		"-talk-share": o.talkShare, "-muted": o.muted, "-quiet": o.quiet, "-no-levels": o.noLevels,
		"-video-share": o.videoShare, "-freeze-share": o.freezeShare,
		"-muted, -quiet and -no-levels together": o.muted + o.quiet + o.noLevels,
	}
	for name, share := range shares {
		expect(share >= 0 && share <= 1, "%s must be from 0 to 1, not %g", name, share)
	}
	expect(o.talkingAtOnce >= 0 && o.talkingAtOnce <= 100, "-talking-at-once must be from 0 to 100 percent")
	expect(o.burst > 0, "-burst must be longer than nothing")
	expect(o.video == "off" || o.video == "vp8", "-video must be off or vp8, not %q", o.video)
	expect(!o.simulcast || o.video == "vp8", "-simulcast needs -video vp8")
	expect(o.freezeAfter >= 0 && o.freezeFor >= 0, "-freeze-after and -freeze-for must not be negative")
	expect(o.churn >= 0 && o.duration >= 0, "-churn and -duration must not be negative")
	expect(o.procs > 0, "-procs must be at least 1")
	return errors.Join(wrong...)
}
