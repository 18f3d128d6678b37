package main

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	frameTime = 20 * time.Millisecond
	frameS    = 0.02
	// leadS is how long before the speech an encoder with DTX begins to send again.
	leadS = 0.04
	// aroundS is the quiet before and after the speech of every phrase.
	aroundS = 0.1
)

//go:embed media
var mediaFiles embed.FS

// frame is one encoded Opus packet of 20 ms. Speech lasts from `from` to `to` seconds into it.
type frame struct {
	data     []byte
	from, to float64
	level    uint8
	active   bool // an encoder with DTX sends it
}

func (f *frame) speech() bool { return f.to > f.from }

type clip []frame

// voice is what somebody can say.
type voice struct {
	phrases []clip
	parts   []clip // of phrases with a pause inside, each with the quiet around it
}

// speechBank holds every phrase at two levels, and the noise of the room they are said in.
type speechBank struct {
	normal, quiet voice
	noise         clip
}

func (v *voice) add(phrase clip, segments [][2]float64) {
	v.phrases = append(v.phrases, phrase)
	if len(segments) < 2 {
		return
	}
	for _, s := range segments {
		from := max(int((s[0]-aroundS)/frameS), 0)
		to := min(int((s[1]+aroundS)/frameS), len(phrase))
		v.parts = append(v.parts, phrase[from:to])
	}
}

func loadSpeech() (*speechBank, error) {
	type entry struct {
		Levels   []uint8      `json:"levels"`
		Segments [][2]float64 `json:"segments"`
	}
	text, err := mediaFiles.ReadFile("media/speech.json")
	if err != nil {
		return nil, err
	}
	var entries map[string]entry
	if err := json.Unmarshal(text, &entries); err != nil {
		return nil, fmt.Errorf("media/speech.json: %w", err)
	}
	names := make([]string, 0, len(entries))
	for name := range entries {
		names = append(names, name)
	}
	slices.Sort(names) // a seed must mean the same every time
	bank := &speechBank{}
	for _, name := range names {
		loaded, err := loadClip(name, entries[name].Levels, entries[name].Segments)
		switch {
		case err != nil:
			return nil, fmt.Errorf("media/%s.opus: %w", name, err)
		case name == "noise":
			bank.noise = loaded
		case strings.HasSuffix(name, "-quiet"):
			bank.quiet.add(loaded, entries[name].Segments)
		default:
			bank.normal.add(loaded, entries[name].Segments)
		}
	}
	return bank, nil
}

func loadClip(name string, levels []uint8, segments [][2]float64) (clip, error) {
	file, err := mediaFiles.ReadFile("media/" + name + ".opus")
	if err != nil {
		return nil, err
	}
	packets, err := oggPackets(file)
	if err != nil {
		return nil, err
	}
	if len(packets) < 2+len(levels) { // two headers, then sound
		return nil, fmt.Errorf("%d packets for %d levels", len(packets), len(levels))
	}
	loaded := make(clip, len(levels))
	for i := range loaded {
		loaded[i] = frame{data: packets[2+i], level: levels[i]}
		begin := float64(i) * frameS
		for _, segment := range segments {
			from, to := max(segment[0]-begin, 0), min(segment[1]-begin, frameS)
			if to-from > 1e-9 {
				loaded[i].from, loaded[i].to = from, to
			}
			if segment[0]-leadS < begin+frameS && begin < segment[1] {
				loaded[i].active = true
			}
		}
	}
	return loaded, nil
}

// loadLayer returns the frames of one simulcast layer; the first is a key frame.
func loadLayer(height int) ([][]byte, error) {
	name := fmt.Sprintf("media/camera-%d.ivf", height)
	file, err := mediaFiles.ReadFile(name)
	if err != nil {
		return nil, err
	}
	frames, err := ivfFrames(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return frames, nil
}
