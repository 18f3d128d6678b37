# The speaking detector: hysteresis over a tracked noise floor, in blocks of 10 ms.
#
# Floor: the least smoothed power of the last 1.6-1.8 s (minimum statistics, after R. Martin, 2001).
# Even fluent speech has gaps that short, so the floor does not climb into it, and it follows a
# room that gets louder within two seconds. Until there was that much audio, and after digital
# silence, the floor is -70 dBov: speech is found at once. Steady noise that begins then is loud as
# well; what tells them apart is that the power of speech moves (see _modulated).


cdef void speaking_init(
    speaking_t *detector, int sample_rate, int num_channels, double threshold
) noexcept nogil:
    cdef int i
    memset(detector, 0, sizeof(speaking_t))
    detector.num_channels = num_channels
    detector.block = (sample_rate + 50) // 100
    detector.threshold = threshold * threshold
    detector.floor = LEAST_FLOOR
    for i in range(FLOOR_WINDOWS):
        detector.windows[i] = LEAST_FLOOR


cdef int speaking_feed(speaking_t *detector, const int16_t *samples, Py_ssize_t n) noexcept nogil:
    """Take ``n`` interleaved samples, a whole number of frames. Returns the new transitions."""
    cdef int before = detector.num_transitions
    cdef int64_t frames = n // detector.num_channels, take
    while frames > 0:
        take = detector.block - detector.filled
        take = take if take < frames else frames
        _speaking_add(detector, samples, take)
        samples += take * detector.num_channels
        frames -= take
        detector.filled += take
        if detector.filled == detector.block:
            detector.position += detector.block
            _speaking_block(detector, _speaking_close_block(detector))
    return detector.num_transitions - before


cdef inline void _speaking_add(
    speaking_t *detector, const int16_t *samples, int64_t frames
) noexcept nogil:
    cdef int64_t total = 0, squares = 0
    cdef int64_t i
    cdef int channel, step = detector.num_channels
    if step == 1:
        for i in range(frames):
            total += samples[i]
            squares += <int32_t>samples[i] * <int32_t>samples[i]
        detector.sum[0] += total
        detector.sum_of_squares[0] += squares
        return
    for channel in range(step):
        total = squares = 0
        for i in range(frames):
            total += samples[i * step + channel]
            squares += <int32_t>samples[i * step + channel] * <int32_t>samples[i * step + channel]
        detector.sum[channel] += total
        detector.sum_of_squares[channel] += squares


cdef double _speaking_close_block(speaking_t *detector) noexcept nogil:
    """Power of the block without its mean, of the loudest channel, scaled to -1..1.

    Not of a mix: a voice in opposite phase in two channels would vanish there.
    """
    cdef double power = 0.0, mean, channel_power, n = detector.block
    cdef int channel
    for channel in range(detector.num_channels):
        mean = detector.sum[channel] / n
        channel_power = (detector.sum_of_squares[channel] / n - mean * mean) / SCALE
        power = channel_power if channel_power > power else power
        detector.sum[channel] = detector.sum_of_squares[channel] = 0
    detector.filled = 0
    return power


cdef void _speaking_block(speaking_t *detector, double power) noexcept nogil:
    # Two blocks together: one alone is too short for a low voice, more would blur where it ends.
    detector.smoothed = 0.5 * (power + detector.previous)
    detector.previous = power
    _speaking_hear_loudness(detector, power)
    if detector.in_run:
        _speaking_go_on(detector, power)
    else:
        _speaking_wait(detector, power)
    _speaking_track_floor(detector, power)


cdef inline void _speaking_hear_loudness(speaking_t *detector, double power) noexcept nogil:
    # Summed anew each time: a running sum would keep the rounding of a loud block for ever.
    cdef double total = 0.0
    cdef int i
    detector.recent[detector.recent_at] = power
    detector.recent_at = (detector.recent_at + 1) % LOUDEST_BLOCKS
    for i in range(LOUDEST_BLOCKS):
        total += detector.recent[i]
    detector.recent_sum = total


cdef void _speaking_track_floor(speaking_t *detector, double power) noexcept nogil:
    cdef double least
    cdef int i
    detector.slow += 0.2 * (power - detector.slow)
    if detector.slow < detector.windows[0]:
        detector.windows[0] = detector.slow
    detector.window_blocks += 1
    if detector.window_blocks == FLOOR_WINDOW_BLOCKS:
        detector.window_blocks = 0
        for i in range(FLOOR_WINDOWS - 1, 0, -1):
            detector.windows[i] = detector.windows[i - 1]
        detector.windows[0] = detector.slow
    least = detector.windows[0]
    for i in range(1, FLOOR_WINDOWS):
        least = detector.windows[i] if detector.windows[i] < least else least
    detector.floor = least if least > LEAST_FLOOR else LEAST_FLOOR


cdef void _speaking_wait(speaking_t *detector, double power) noexcept nogil:
    """No run: one begins where the power has been over the floor for 30 ms."""
    if detector.smoothed <= OFF * detector.floor:
        detector.stretch_blocks = detector.loud_blocks = 0
        return
    if detector.stretch_blocks == 0:
        detector.stretch_start = detector.position - detector.block
    detector.stretch_blocks += 1
    if detector.smoothed <= ON * detector.floor:
        detector.loud_blocks = 0
        return
    detector.loud_blocks += 1
    if detector.loud_blocks < ONSET_BLOCKS:
        return
    detector.in_run = True
    detector.accepted = False
    detector.run_start = detector.stretch_start
    detector.run_blocks = detector.stretch_blocks - 1
    detector.run_energy = 0.0
    detector.pending_energy = 0.0
    detector.quiet_blocks = 0
    detector.loudest = detector.run_peak = 0.0
    detector.soft_blocks = detector.peak_blocks = 0
    detector.stretch_blocks = detector.loud_blocks = 0
    _speaking_go_on(detector, power)


cdef void _speaking_go_on(speaking_t *detector, double power) noexcept nogil:
    """In a run: it becomes speech, goes on, or ends."""
    cdef double loudness = detector.recent_sum / LOUDEST_BLOCKS
    detector.pending[detector.quiet_blocks] = detector.smoothed
    detector.pending_energy += power
    if detector.smoothed > OFF * detector.floor:
        detector.run_blocks += detector.quiet_blocks + 1
        detector.run_energy += detector.pending_energy
        detector.pending_energy = 0.0
        detector.quiet_blocks = 0
        detector.last_speech = detector.position
        _speaking_note_modulation(detector, power)
    else:
        detector.quiet_blocks += 1
    detector.loudest = loudness if loudness > detector.loudest else detector.loudest
    if not detector.accepted and detector.loudest >= detector.threshold and _modulated(detector):
        detector.accepted = True
        _speaking_tell(detector, True, detector.run_start)
    if detector.quiet_blocks == HANGOVER_BLOCKS:
        _speaking_add_tail(detector)
        _speaking_close_run(detector)


cdef inline void _speaking_note_modulation(speaking_t *detector, double power) noexcept nogil:
    if power > detector.run_peak:
        if power > MODULATION * detector.run_peak:
            # What was the peak so far turns out to be soft.
            detector.soft_blocks += detector.peak_blocks
            detector.peak_blocks = 0
        detector.run_peak = power
    if power * MODULATION < detector.run_peak:
        detector.soft_blocks += 1
    else:
        detector.peak_blocks += 1


cdef inline bint _modulated(speaking_t *detector) noexcept nogil:
    """Whether the power of the run has moved as that of speech does.

    Steady noise stays within 3 dB of itself; syllables and pauses move speech by 6 dB and more
    within a tenth of a second. One or two blocks prove nothing: noise that is switched on fills
    its first block in part only.
    """
    return detector.soft_blocks >= SOFT_BLOCKS and detector.peak_blocks >= SOFT_BLOCKS


cdef void _speaking_add_tail(speaking_t *detector) noexcept nogil:
    """Give the run what fades out behind its last loud block.

    In fluent speech the floor is that of its short gaps, which hides a soft last sound. By now it
    is known how quiet it is afterwards, and that is the better floor to judge the end by.
    """
    cdef double background = 0.0
    cdef int i, tail = HANGOVER_BLOCKS - BACKGROUND_BLOCKS
    for i in range(tail, HANGOVER_BLOCKS):
        background += detector.pending[i] / BACKGROUND_BLOCKS
    background = background if background > LEAST_FLOOR else LEAST_FLOOR
    for i in range(tail):
        if detector.pending[i] <= OFF * background:
            return
        detector.last_speech += detector.block
        detector.run_energy += detector.pending[i]
        detector.run_blocks += 1


cdef void _speaking_close_run(speaking_t *detector) noexcept nogil:
    detector.in_run = False
    if detector.accepted:
        detector.accepted = False
        detector.speech_samples += detector.last_speech - detector.run_start
        detector.speech_energy += detector.run_energy
        detector.speech_blocks += detector.run_blocks
        _speaking_tell(detector, False, detector.last_speech)


cdef void speaking_end_run(speaking_t *detector) noexcept nogil:
    """End an open run at its last block of speech; what comes later is another run."""
    if detector.in_run:
        _speaking_close_run(detector)
    detector.position += detector.filled
    detector.filled = 0
    detector.stretch_blocks = detector.loud_blocks = 0
    detector.previous = 0.0
    memset(detector.sum, 0, sizeof(detector.sum))
    memset(detector.sum_of_squares, 0, sizeof(detector.sum_of_squares))
    memset(detector.recent, 0, sizeof(detector.recent))


cdef void _speaking_tell(speaking_t *detector, bint speaking, int64_t position) noexcept nogil:
    """Queue a transition; when the queue is full a whole run goes untold, never half of one."""
    cdef transition_t *free
    if not speaking and detector.skip_stop:
        detector.skip_stop = False
        return
    if speaking and detector.num_transitions >= MAX_TRANSITIONS - 1:
        detector.skip_stop = True
        return
    free = &detector.transitions[
        (detector.first_transition + detector.num_transitions) % MAX_TRANSITIONS
    ]
    free.speaking = speaking
    free.position = position
    detector.num_transitions += 1


cdef class SpeakingDetector:
    """Finds runs of speech in a stream and bills them.

    ``sample_rate`` is 8000 to 192000 Hz, ``num_channels`` 1 to 8, interleaved. ``threshold`` is the
    RMS, above 0 and up to 1, that the loudest 100 ms of a run must reach to be speech; what lies in
    such a run is not cut. Pauses under 250 ms belong to the run; the hangover at its end
    does not. How the stream is cut into calls of ``process`` does not matter.
    """

    cdef speaking_t detector
    cdef readonly double threshold

    def __cinit__(self, int sample_rate, int num_channels=1, double threshold=0.01):
        _check_stream(sample_rate, num_channels)
        if not 0.0 < threshold <= 1.0:
            raise ValueError(f"threshold must be above 0 and at most 1, not {threshold}")
        self.threshold = threshold
        speaking_init(&self.detector, sample_rate, num_channels, threshold)

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

    def take(self) -> list[tuple[bool, int]]:
        """The transitions since the last call: (speech begins, position of its first sample) or
        (it ends, position behind its last one), in samples per channel since the start.

        They alternate. A start is told once the run is accepted, a tenth of a second late or so.
        Of a caller that does not ask, the first 32 runs are kept.
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

    def end_run(self) -> None:
        """End an open run at its last speech (mute, unpublish); the floor is kept."""
        speaking_end_run(&self.detector)

    @property
    def speaking(self) -> bool:
        """Whether a run of speech is open."""
        return self.detector.in_run and self.detector.accepted

    @property
    def samples_per_channel(self) -> int:
        """Fed so far."""
        return self.detector.position + self.detector.filled

    @property
    def last_speech(self) -> int:
        """Position behind the newest speech, in samples per channel; 0 before the first."""
        return self.detector.last_speech

    @property
    def speech_samples(self) -> int:
        """Billed so far, in samples per channel; of an open run up to its last speech."""
        cdef int64_t billed = self.detector.speech_samples
        if self.detector.in_run and self.detector.accepted:
            billed += self.detector.last_speech - self.detector.run_start
        return billed

    @property
    def speech_dbov(self) -> float | None:
        """Mean power of what is billed, of the louder channel; None before there is any."""
        cdef double energy = self.detector.speech_energy
        cdef int64_t blocks = self.detector.speech_blocks
        if self.detector.in_run and self.detector.accepted:
            energy += self.detector.run_energy
            blocks += self.detector.run_blocks
        return _dbov(energy / blocks) if blocks else None

    @property
    def floor_dbov(self) -> float:
        """The noise floor; -70 at the least."""
        return _dbov(self.detector.floor)
