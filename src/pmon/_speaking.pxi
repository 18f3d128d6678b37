# The speaking detector as Python sees it.


cdef class SpeakingDetector:
    """Finds runs of speech in a stream and bills them.

    ``sample_rate`` is 8000 to 192000 Hz, ``num_channels`` 1 to 8, interleaved. ``threshold`` is the
    RMS, above 0 and up to 1, that the loudest 100 ms of a run must reach to be speech; what lies in
    such a run is not cut. It looks 60 ms ahead. Pauses of some 0.2 s belong to the run; the
    hangover at its end does not. How the stream is cut into calls of ``process`` does not matter.

    Noise that changes all the time and has no floor is taken for speech: voices in the background,
    music, keys that are struck hard and ring, rumble. What begins together with a voice, and a fan
    that is switched on, may be until the floor knows it, for 1.9 s at most.
    """

    cdef speaking_t detector
    cdef bill_t bill

    def __cinit__(self, int sample_rate, int num_channels=1, double threshold=0.01):
        _check_stream(sample_rate, num_channels)
        if not 0.0 < threshold <= 1.0:
            raise ValueError(f"threshold must be above 0 and at most 1, not {threshold}")
        speaking_init(&self.detector, sample_rate, num_channels, 0)
        bill_init(&self.bill, &self.detector, threshold)
        self.detector.bills = &self.bill
        self.detector.num_bills = 1

    @property
    def threshold(self) -> float:
        """RMS."""
        return self.bill.threshold

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
        cdef transition_t transition
        taken = []
        while bill_take(&self.bill, &transition):
            taken.append((bool(transition.speaking), transition.position))
        return taken

    @cython.critical_section
    def end_run(self) -> None:
        """End an open run at its last speech (mute, unpublish); the floor is kept."""
        speaking_end_run(&self.detector)

    @property
    @cython.critical_section
    def speaking(self) -> bool:
        """Whether a run of speech is open."""
        return self.bill.accepted

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
    @cython.critical_section
    def last_speech(self) -> int:
        """Position behind the newest speech, in samples per channel; 0 before the first."""
        return bill_total(&self.bill, &self.detector).last_speech

    @property
    @cython.critical_section
    def speech_samples(self) -> int:
        """Billed so far, in samples per channel; of an open run up to its last speech."""
        return bill_total(&self.bill, &self.detector).samples

    @property
    @cython.critical_section
    def speech_dbov(self) -> float | None:
        """Mean power of what is billed, of the louder channel; None before there is any."""
        cdef double power = bill_total(&self.bill, &self.detector).power
        return _dbov(power) if power > 0 else None

    @property
    @cython.critical_section
    def floor_dbov(self) -> float | None:
        """The noise floor, -75 at the least; None before any audio."""
        cdef double floor = speaking_floor_dbov(&self.detector)
        return None if isnan(floor) else floor
