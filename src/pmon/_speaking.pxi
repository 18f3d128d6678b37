# The speaking detector as Python sees it.


cdef class SpeakingDetector:
    """Finds runs of speech in a stream and bills them.

    ``sample_rate`` is 8000 to 192000 Hz, ``num_channels`` 1 to 8, interleaved. ``threshold`` is the
    RMS, above 0 and up to 1, that the loudest 100 ms of a run must reach to be speech; what lies in
    such a run is not cut. It looks 60 ms ahead. Pauses of some 0.2 s belong to the run; the
    hangover at its end does not. How the stream is cut into calls of ``process`` does not matter.

    Noise that changes all the time and has no floor is taken for speech: voices in the background,
    music, keys that are struck hard and ring; what begins together with a voice may be, until the
    floor knows it, for 1.8 s at most.
    """

    cdef speaking_t detector
    cdef readonly double threshold

    def __cinit__(self, int sample_rate, int num_channels=1, double threshold=0.01):
        _check_stream(sample_rate, num_channels)
        if not 0.0 < threshold <= 1.0:
            raise ValueError(f"threshold must be above 0 and at most 1, not {threshold}")
        self.threshold = threshold
        speaking_init(&self.detector, sample_rate, num_channels, threshold)

    @cython.critical_section
    def process(self, samples) -> int:
        """Take the next samples, a whole number of frames (else ValueError).

        Returns how many transitions came of it; ``take`` hands them out.
        """
        cdef Py_buffer view
        _acquire(samples, &view)
        try:
            _check_whole(view.len // 2, self.detector.num_channels)
            return speaking_feed(&self.detector, <const int16_t *>view.buf, view.len // 2)
        finally:
            PyBuffer_Release(&view)

    @cython.critical_section
    def take(self) -> list[tuple[bool, int]]:
        """The transitions since the last call: (speech begins, position of its first sample) or
        (it ends, position behind its last one), in samples per channel since the start.

        They alternate. A start is told once the run is accepted, mostly 0.1 to 0.2 s behind its
        first sample, and that of a single word at times together with its stop. Of a caller that
        does not ask, the first 32 runs are kept.
        """
        taken = []
        cdef transition_t *transition
        while self.detector.num_transitions:
            transition = &self.detector.transitions[self.detector.first_transition]
            taken.append((bool(transition.speaking), transition.position))
            self.detector.first_transition = (
                self.detector.first_transition + 1
            ) % MAX_TRANSITIONS
            self.detector.num_transitions -= 1
        return taken

    @cython.critical_section
    def end_run(self) -> None:
        """End an open run at its last speech (mute, unpublish); the floor is kept."""
        speaking_end_run(&self.detector)

    @property
    @cython.critical_section
    def speaking(self) -> bool:
        """Whether a run of speech is open."""
        return self.detector.in_run and self.detector.accepted

    @property
    @cython.critical_section
    def score(self) -> float | None:
        """How much the block that ends 60 ms before the newest one sounds like speech; over 0 it
        does. None before any block.
        """
        if self.detector.score.floor[0] == UNKNOWN_LEVEL or self.detector.score.fresh:
            return None
        return _score(&self.detector.score)

    @property
    @cython.critical_section
    def samples_per_channel(self) -> int:
        """Fed so far."""
        return self.detector.position + self.detector.filled

    @property
    def last_speech(self) -> int:
        """Position behind the newest speech, in samples per channel; 0 before the first."""
        return self.detector.last_speech

    @property
    @cython.critical_section
    def speech_samples(self) -> int:
        """Billed so far, in samples per channel; of an open run up to its last speech."""
        cdef int64_t billed = self.detector.speech_samples
        if self.detector.in_run and self.detector.accepted:
            billed += self.detector.run_end - self.detector.run_start
        return billed

    @property
    @cython.critical_section
    def speech_dbov(self) -> float | None:
        """Mean power of what is billed, of the louder channel; None before there is any."""
        cdef double energy = self.detector.speech_energy
        cdef int64_t blocks = self.detector.speech_blocks
        if self.detector.in_run and self.detector.accepted:
            energy += self.detector.run_energy
            blocks += self.detector.run_blocks
        return _dbov(energy / blocks) if blocks else None

    @property
    @cython.critical_section
    def floor_dbov(self) -> float | None:
        """The noise floor, -75 at the least; None before any audio."""
        cdef double floor = speaking_floor_dbov(&self.detector)
        return None if isnan(floor) else floor
