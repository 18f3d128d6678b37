# The speaking detector: from scores to runs of speech.
#
# The score says where there is speech, six blocks late and blurred by its windows. Where a run
# begins and ends to the block is where blocks stand out of the floor by themselves.


cdef void speaking_init(
    speaking_t *detector, int sample_rate, int num_channels, int64_t position
) noexcept nogil:
    """Begin at this position of the stream, without bills."""
    memset(detector, 0, sizeof(speaking_t))
    detector.num_channels = num_channels
    detector.block = (sample_rate + 50) // 100
    detector.position = detector.run_end = position
    _bands_design(&detector.filter, sample_rate)
    _score_init(&detector.score)


cdef void _speaking_block(
    speaking_t *detector, double power, const float *bands, bint zero
) noexcept nogil:
    cdef int16_t levels[LANES]
    cdef int i
    detector.expected_blocks = max(0, detector.expected_blocks - 1)
    if detector.score.fresh and zero and detector.zero_blocks < STARTUP_BLOCKS:
        detector.zero_blocks += 1  # a decoder that waits for its first packet, and not a room
        return
    detector.zero_blocks = 0
    for i in range(C_BANDS):
        levels[i] = _level(bands[i] / SCALE)
    levels[C_BANDS] = _level(power)
    _score_block(&detector.score, levels, detector.filter.bands)
    detector.recent_at = (detector.recent_at + 1) % RECENT_BLOCKS
    detector.recent[detector.recent_at] = power
    if detector.in_run:
        _speaking_go_on(detector, _score(&detector.score))
    elif _score(&detector.score) > ON:
        _speaking_open_run(detector)
    if detector.in_run:
        _speaking_watch(detector, 2)
        _speaking_judge(detector)


cdef inline double _loudness(const speaking_t *detector) noexcept nogil:
    """Power of the last 100 ms."""
    # Summed anew each time: a running sum would keep the rounding of a loud block for ever.
    cdef double total = 0.0
    cdef int i
    for i in range(LOUDEST_BLOCKS):
        total += _recent(detector, i)
    return total / LOUDEST_BLOCKS


cdef inline double _recent(const speaking_t *detector, int ago) noexcept nogil:
    return detector.recent[(detector.recent_at + RECENT_BLOCKS - ago) % RECENT_BLOCKS]


cdef inline bint _stood_out(const speaking_t *detector, int ago) noexcept nogil:
    return (detector.score.loud >> ago) & 1


cdef int _onset(const speaking_t *detector) noexcept nogil:
    """How many blocks ago the first block of speech was; -1 if none stands out yet.

    From the block that the score speaks of back to the first of a stretch without gaps of over
    30 ms; or else the next that stands out.
    """
    cdef int ago = LOOK_AHEAD_BLOCKS, first = -1, gap = 0
    while ago < ONSET_BLOCKS and gap <= ONSET_GAP_BLOCKS:
        if _stood_out(detector, ago):
            first = ago
            gap = 0
        else:
            gap += 1
        ago += 1
    ago = LOOK_AHEAD_BLOCKS
    while first < 0 and ago > 0:
        ago -= 1
        if _stood_out(detector, ago):
            first = ago
    return first


cdef void _speaking_open_run(speaking_t *detector) noexcept nogil:
    cdef int64_t since = (detector.position - detector.run_end) // detector.block
    cdef int first = _onset(detector), ago
    if first >= since:  # what ended a moment ago is not begun again
        first = <int>since - 1
    if first < 0:
        return
    detector.in_run = True
    detector.run_start = detector.position - (first + 1) * detector.block
    detector.run_end = detector.run_start
    detector.run_energy = detector.pending_energy = 0.0
    detector.run_blocks = detector.pending_blocks = 0
    detector.quiet_blocks = 0
    detector.loudest = 0.0
    detector.softest = UNKNOWN_LEVEL
    detector.strongest = 0
    for ago in range(first, -1, -1):
        _speaking_bill(detector, ago)
    for ago in range(first - 2, 2, -1):
        _speaking_watch(detector, ago)


cdef inline void _speaking_bill(speaking_t *detector, int ago) noexcept nogil:
    """A block of a run: it is billed once it, or one after it, stands out."""
    detector.pending_energy += _recent(detector, ago)
    detector.pending_blocks += 1
    if _stood_out(detector, ago):
        detector.run_energy += detector.pending_energy
        detector.run_blocks += detector.pending_blocks
        detector.run_end = detector.position - ago * detector.block
        detector.pending_energy = 0.0
        detector.pending_blocks = 0


cdef void _speaking_go_on(speaking_t *detector, double score) noexcept nogil:
    """In a run: it goes on, or it ends once the score has been low for a while.

    For longer while blocks still stand out: a last vowel may be held, and then it goes on.
    """
    cdef int most = HELD_BLOCKS if _stood_out(detector, 0) else HANGOVER_BLOCKS
    detector.quiet_blocks = detector.quiet_blocks + 1 if score < OFF else 0
    _speaking_bill(detector, 0)
    if detector.quiet_blocks >= most:
        _speaking_close_run(detector)


cdef inline void _speaking_watch(speaking_t *detector, int ago) noexcept nogil:
    """How the bands move in the run: two blocks together, with two more of it on either side.

    Noise and tones that are switched on look like speech to the score, which has just seen them
    rise; what they do not do is go on moving. Without the edges: a block there is full in part.
    """
    cdef int level, i
    if detector.position - (ago + 3) * detector.block < detector.run_start:
        return
    for i in range(ago - 2, ago + 2):
        if not _stood_out(detector, i):
            return
    level = _mean_level(detector, ago) + _mean_level(detector, ago + 1)
    detector.softest = min(detector.softest, level)
    detector.strongest = max(detector.strongest, level)


cdef inline int _mean_level(const speaking_t *detector, int ago) noexcept nogil:
    return detector.score.means[(detector.score.mean_at + RECENT_BLOCKS - ago) % RECENT_BLOCKS]


cdef inline void _speaking_judge(speaking_t *detector) noexcept nogil:
    """A run is speech once it moves, or is expected, if its loudest 100 ms reach the threshold."""
    cdef int i
    detector.loudest = max(detector.loudest, _loudness(detector))
    if detector.strongest - detector.softest >= LEAST_MOVEMENT or (
        detector.expected_blocks and detector.run_blocks >= TRUSTED_BLOCKS
    ):
        for i in range(detector.num_bills):
            _bill_judge(&detector.bills[i], detector)


cdef void _speaking_close_run(speaking_t *detector) noexcept nogil:
    cdef int i
    for i in range(detector.num_bills):
        _bill_end_run(&detector.bills[i], detector)
    detector.in_run = False


cdef void speaking_expect(speaking_t *detector) noexcept nogil:
    """Believe for 1.5 s that what stands out is speech, since somebody else has said so.

    A stream may begin in the middle of a vowel, which stands out of nothing that is known.
    """
    detector.expected_blocks = EXPECTED_BLOCKS
    if detector.score.floor[0] == UNKNOWN_LEVEL:
        _row_set(detector.score.windows[0], 0)
        _row_set(detector.score.floor, 0)


cdef void speaking_end_run(speaking_t *detector) noexcept nogil:
    """End an open run at its last block of speech; what comes later is another run."""
    if detector.in_run:
        _speaking_close_run(detector)
    detector.position += detector.filled
    detector.run_end = detector.position
    detector.expected_blocks = 0
    _speaking_open_block(detector)
    detector.score.fresh = True
    memset(detector.bands, 0, sizeof(detector.bands))
    memset(detector.recent, 0, sizeof(detector.recent))


cdef double speaking_floor_dbov(const speaking_t *detector) noexcept nogil:
    """The floor of the whole, in dBov; not a number before any audio."""
    cdef int16_t floor = detector.score.floor[C_BANDS]
    return NAN if floor == UNKNOWN_LEVEL else LEAST_DBOV + floor / 8.0
