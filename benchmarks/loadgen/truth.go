package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"time"
)

// span is a start and an end in Unix seconds; an end of 0 has not come yet.
type span [2]float64

func (s span) MarshalJSON() ([]byte, error) {
	return json.Marshal([2]float64{toMillis(s[0]), toMillis(s[1])})
}

func toMillis(s float64) float64 { return math.Round(s*1e3) / 1e3 }

func unixNow() float64 { return float64(time.Now().UnixMicro()) / 1e6 }

func closeSpan(spans []span, at float64) {
	if last := len(spans) - 1; last >= 0 && spans[last][1] == 0 {
		spans[last][1] = at
	}
}

// personTruth is what one participant really did.
type personTruth struct {
	Kind     kind   `json:"kind"`
	Camera   bool   `json:"camera"`
	Segments []span `json:"segments"` // speech, as sent
	Bursts   []span `json:"bursts"`   // whole turns with their pauses, sent or not
	Muted    []span `json:"muted"`
	Frozen   []span `json:"frozen"` // the camera's picture
	Present  []span `json:"present"`
}

// writeTruth replaces the file in one step. Before the pacer has ended it must not look at what
// the pacer owns, and says only who takes part.
func writeTruth(path string, people []*participant, ended bool) error {
	if path == "" {
		return nil
	}
	rooms := map[string]map[string]personTruth{}
	for _, p := range people {
		truth := personTruth{Kind: p.kind, Camera: p.layers != nil}
		truth.Segments, truth.Bursts, truth.Muted, truth.Present = []span{}, []span{}, []span{}, []span{}
		truth.Frozen = []span{}
		if ended {
			truth.Segments = append(truth.Segments, p.mic.segments...)
			truth.Bursts = append(truth.Bursts, p.mic.bursts...)
			truth.Muted = append(truth.Muted, p.mutedAt...)
			truth.Frozen = append(truth.Frozen, p.frozenAt...)
			truth.Present = append(truth.Present, p.present...)
		}
		if rooms[p.room] == nil {
			rooms[p.room] = map[string]personTruth{}
		}
		rooms[p.room][p.identity] = truth
	}
	text, err := json.Marshal(map[string]any{"ended": ended, "rooms": rooms})
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".truth-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(append(text, '\n'))
	if closed := temporary.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
