package main

import (
	"bytes"
	"encoding/binary"
	"errors"
)

const oggHeader = 27

var errOgg = errors.New("not an Ogg file as the media script writes it")

// oggPackets returns the packets of an Ogg stream, which alias data unless they cross pages.
func oggPackets(data []byte) ([][]byte, error) {
	var packets [][]byte
	var open []byte
	for len(data) > 0 {
		if len(data) < oggHeader || !bytes.HasPrefix(data, []byte("OggS")) {
			return nil, errOgg
		}
		lacing := data[oggHeader:]
		count := int(data[oggHeader-1])
		if len(lacing) < count {
			return nil, errOgg
		}
		body := lacing[count:]
		size := 0
		for _, segment := range lacing[:count] {
			size += int(segment)
			if size > len(body) {
				return nil, errOgg
			}
			if segment == 255 {
				continue // the packet goes on in the next segment
			}
			packets = append(packets, append(open, body[:size]...))
			open, body, size = nil, body[size:], 0
		}
		open = append(open, body[:size]...)
		data = body[size:]
	}
	return packets, nil
}

// ivfFrames returns the frames of an IVF file.
func ivfFrames(data []byte) ([][]byte, error) {
	errIVF := errors.New("not an IVF file as the media script writes it")
	if len(data) < 32 || !bytes.HasPrefix(data, []byte("DKIF")) {
		return nil, errIVF
	}
	var frames [][]byte
	for data = data[32:]; len(data) > 0; {
		if len(data) < 12 {
			return nil, errIVF
		}
		size := int(binary.LittleEndian.Uint32(data))
		data = data[12:]
		if size > len(data) {
			return nil, errIVF
		}
		frames = append(frames, data[:size])
		data = data[size:]
	}
	return frames, nil
}
