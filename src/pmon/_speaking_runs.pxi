# The speaking detector: from the powers of blocks to runs of speech and what they bill.
#
# Floor: the least smoothed power of the last 1.6-1.8 s (minimum statistics, after R. Martin, 2001).
# Even fluent speech has gaps that short, so the floor does not climb into it, and it follows a
# room that gets louder within two seconds. Until there was that much audio, and after digital
# silence, the floor is -70 dBov: speech is found at once. Steady noise that begins then is loud as
# well; what tells them apart is that the power of speech moves (see _moves), from one 20 ms to the
# next, since 10 ms may hold one period of a hum or none. A word may be too short to show that, but
# it is over long before the floor has caught up with a noise: for a short run, 10 ms will do.


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


cdef void _speaking_block(speaking_t *detector) noexcept nogil:
    # Two blocks together: one alone is too short for a low voice, more would blur where it ends.
    detector.smoothed = 0.5 * (detector.voice + detector.previous)
    detector.previous = detector.voice
    _speaking_hear_loudness(detector)
    if detector.expected_blocks:
        detector.expected_blocks -= 1
    if not detector.in_run:
        _speaking_wait(detector)
    if detector.in_run:
        _speaking_go_on(detector)
    _speaking_track_floor(detector)


cdef inline void _speaking_hear_loudness(speaking_t *detector) noexcept nogil:
    # Summed anew each time: a running sum would keep the rounding of a loud block for ever.
    cdef double total = 0.0
    cdef int i
    detector.recent[detector.recent_at] = detector.power
    detector.recent_at = (detector.recent_at + 1) % LOUDEST_BLOCKS
    for i in range(LOUDEST_BLOCKS):
        total += detector.recent[i]
    detector.recent_sum = total


cdef inline void _speaking_track_floor(speaking_t *detector) noexcept nogil:
    cdef double least
    cdef int i
    detector.slow += 0.2 * (detector.voice - detector.slow)
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
    detector.floor = _larger(least, LEAST_FLOOR)


cdef inline void _speaking_wait(speaking_t *detector) noexcept nogil:
    """No run: one begins where the power has been over the floor for 30 ms.

    It is dated back to where the power rose, but by 100 ms at most: noise just over the floor may
    have been there for long.
    """
    if detector.smoothed <= OFF * detector.floor:
        detector.stretch_blocks = detector.loud_blocks = 0
        return
    if detector.stretch_blocks < LOUDEST_BLOCKS:
        detector.stretch_blocks += 1
    if detector.smoothed <= ON * detector.floor:
        detector.loud_blocks = 0
        return
    detector.loud_blocks += 1
    if detector.loud_blocks == ONSET_BLOCKS:
        _speaking_open_run(detector)


cdef void _speaking_open_run(speaking_t *detector) noexcept nogil:
    cdef int i
    detector.in_run = True
    detector.accepted = False
    detector.run_blocks = detector.stretch_blocks - 1  # without the newest, which is to come
    detector.run_start = detector.position - detector.stretch_blocks * detector.block
    detector.run_end = detector.run_start
    detector.run_energy = 0.0
    for i in range(2, detector.stretch_blocks + 1):
        detector.run_energy += detector.recent[
            (detector.recent_at + LOUDEST_BLOCKS - i) % LOUDEST_BLOCKS
        ]
    detector.loudest = 0.0
    detector.quiet_blocks = 0
    memset(&detector.coarse, 0, sizeof(modulation_t))
    memset(&detector.fine, 0, sizeof(modulation_t))
    detector.stretch_blocks = detector.loud_blocks = 0


cdef void _speaking_go_on(speaking_t *detector) noexcept nogil:
    """In a run: it becomes speech, goes on, or ends."""
    detector.loudest = _larger(detector.loudest, detector.recent_sum / LOUDEST_BLOCKS)
    if detector.smoothed > OFF * detector.floor:
        _speaking_bill_quiet(detector, detector.quiet_blocks)
        detector.run_blocks += 1
        detector.run_energy += detector.power
        detector.quiet_blocks = 0
        detector.run_end = detector.position
        _note(&detector.coarse, detector.smoothed)
        _note(&detector.fine, detector.voice)
    else:
        detector.quiet_voice[detector.quiet_blocks] = detector.smoothed
        detector.quiet_power[detector.quiet_blocks] = detector.power
        detector.quiet_blocks += 1
    if _moves(&detector.coarse) or (
        detector.expected_blocks and detector.run_blocks >= TRUSTED_BLOCKS
    ):
        _speaking_accept(detector)
    if detector.quiet_blocks == HANGOVER_BLOCKS:
        _speaking_accept_word(detector)
        _speaking_add_tail(detector)
        _speaking_close_run(detector)
    elif detector.accepted:
        detector.last_speech = detector.run_end


cdef inline void _speaking_bill_quiet(speaking_t *detector, int blocks) noexcept nogil:
    """The first quiet blocks were speech after all."""
    cdef int i
    for i in range(blocks):
        detector.run_energy += detector.quiet_power[i]
    detector.run_blocks += blocks


cdef inline void _speaking_accept(speaking_t *detector) noexcept nogil:
    """The run moves like speech; it is speech if it is loud enough."""
    if not detector.accepted and detector.loudest >= detector.threshold:
        detector.accepted = True
        _speaking_tell(detector, True, detector.run_start)


cdef inline void _speaking_accept_word(speaking_t *detector) noexcept nogil:
    """At the end of a run: one that was short may be a single word."""
    if detector.run_blocks < WORD_BLOCKS and _moves(&detector.fine):
        _speaking_accept(detector)


cdef inline void _note(modulation_t *modulation, double power) noexcept nogil:
    modulation.peak *= PEAK_DECAY  # what speech is after a pop must not be soft for ever
    if power > modulation.peak:
        if power > MODULATION * modulation.peak:
            # What was the peak so far turns out to be soft.
            modulation.soft_blocks += modulation.peak_blocks
            modulation.peak_blocks = 0
        modulation.peak = power
    if power * MODULATION < modulation.peak:
        modulation.soft_blocks += 1
    else:
        modulation.peak_blocks += 1


cdef inline bint _moves(const modulation_t *modulation) noexcept nogil:
    """Whether power has moved as that of speech does.

    Steady noise stays within 3 dB of itself; syllables and pauses move speech by 6 dB and more
    within a tenth of a second. One or two blocks prove nothing: noise that is switched on fills
    its first block in part only.
    """
    return modulation.soft_blocks >= SOFT_BLOCKS and modulation.peak_blocks >= SOFT_BLOCKS


cdef void _speaking_add_tail(speaking_t *detector) noexcept nogil:
    """Give the run what fades out behind its last loud block.

    In fluent speech the floor is that of its short gaps, which hides a soft last sound. By now it
    is known how quiet it is afterwards, and that is the better floor to judge the end by.
    """
    cdef double background = 0.0
    cdef int i, blocks = 0, most = HANGOVER_BLOCKS - BACKGROUND_BLOCKS
    for i in range(most, HANGOVER_BLOCKS):
        background += detector.quiet_voice[i] / BACKGROUND_BLOCKS
    background = _larger(background, LEAST_FLOOR)
    while blocks < most and detector.quiet_voice[blocks] > OFF * background:
        blocks += 1
    _speaking_bill_quiet(detector, blocks)
    detector.run_end += blocks * detector.block


cdef void _speaking_close_run(speaking_t *detector) noexcept nogil:
    detector.in_run = False
    if detector.accepted:
        detector.accepted = False
        detector.last_speech = detector.run_end
        detector.speech_samples += detector.run_end - detector.run_start
        detector.speech_energy += detector.run_energy
        detector.speech_blocks += detector.run_blocks
        _speaking_tell(detector, False, detector.run_end)


cdef void speaking_expect(speaking_t *detector) noexcept nogil:
    """Believe for 1.5 s that what is loud enough is speech, since somebody else has said so.

    A stream that begins in the middle of a vowel shows for up to 0.7 s nothing that moves.
    """
    detector.expected_blocks = EXPECTED_BLOCKS


cdef void speaking_end_run(speaking_t *detector) noexcept nogil:
    """End an open run at its last block of speech; what comes later is another run."""
    if detector.in_run:
        _speaking_accept_word(detector)
        _speaking_close_run(detector)
    detector.position += detector.filled
    _speaking_open_block(detector)
    detector.stretch_blocks = detector.loud_blocks = 0
    detector.expected_blocks = 0
    detector.previous = 0.0
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
