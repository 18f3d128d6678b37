# How much a block sounds like speech, from the levels of its bands.
#
# Four things tell speech from what is not, each in dB:
#   presence    how far the three bands that stand out most are over their own floors: room noise is
#               everywhere, speech is where its formants are;
#   modulation  how much the three bands that move most have moved within 0.28 s: syllables do,
#               noise, hum and held tones do not;
#   decline     how far the level is under its peak of the last 3 s: echo, and others in the room;
#   strikes     how far all bands rose from one block to the next by more than 10 dB: a key strikes
#               them together, a voice takes its time.
# The floor of a band is the least of its levels over 1.6 to 1.8 s, smoothed over 0.1 s (minimum
# statistics, after R. Martin, 2001): even fluent speech has gaps that short. Before anything else,
# each band's peaks of less than 50 ms are cut off (a morphological opening), for these are the
# clicks of keys. The mix of the four is a logistic regression's on `benchmarks/speech`, rounded.
#
# All levels are whole steps of 1/8 dB, so that sums over windows are exact and never drift.


cdef inline void _row_set(int16_t *row, int16_t level, int n) noexcept nogil:
    cdef int i
    for i in range(n):
        row[i] = level


cdef void _score_init(score_t *score) noexcept nogil:
    cdef int i
    memset(score, 0, sizeof(score_t))
    for i in range(FLOOR_WINDOWS):
        _row_set(score.windows[i], UNKNOWN_LEVEL, LANES)
    _row_set(score.floor, UNKNOWN_LEVEL, LANES)
    score.fresh = True


cdef void _score_fill(score_t *score, const int16_t *levels) noexcept nogil:
    """As if it had been like this all the time."""
    cdef int i
    for i in range(LANES):
        score.level_sum[i] = SMOOTH_BLOCKS * levels[i]
    for i in range(SMOOTH_BLOCKS):
        memcpy(score.levels[i], levels, sizeof(score.levels[i]))
    for i in range(OPEN_BLOCKS):
        memcpy(score.lows[i], levels, sizeof(score.lows[i]))
    for i in range(MODULATION_BLOCKS):
        memcpy(score.opened[i], levels, sizeof(score.opened[i]))
    for i in range(C_BANDS):
        score.opened_sum[i] = MODULATION_BLOCKS * levels[i]
        score.opened_squares[i] = MODULATION_BLOCKS * <int32_t>levels[i] * levels[i]
    memset(score.over, 0, sizeof(score.over))
    memset(score.over_sum, 0, sizeof(score.over_sum))
    memcpy(score.before, levels, sizeof(score.before))
    memset(score.strikes, 0, sizeof(score.strikes))
    score.strike_sum = 0
    for i in range(TOTAL_BLOCKS):
        score.totals[i] = levels[C_BANDS]
    score.total_sum = TOTAL_BLOCKS * levels[C_BANDS]
    score.loud = 0
    score.fresh = False


cdef void _score_begin(score_t *score, const int16_t *levels) noexcept nogil:
    """The first block, or the first after a break: nothing is known of what was before it.

    Where a floor is known it is taken to have been quiet. Otherwise the block itself has to do:
    what goes on like this is no speech.
    """
    if score.floor[0] == UNKNOWN_LEVEL:
        _score_fill(score, levels)
    else:
        _score_fill(score, score.floor)


cdef void _score_block(score_t *score, const int16_t *levels) noexcept nogil:
    """Take the levels of the next block: of its bands, and of the whole."""
    if score.fresh:
        _score_begin(score, levels)
    _score_smooth(score, levels)
    _score_floor(score)
    score.loud = (score.loud << 1) | _stands_out(levels, score.floor)
    _score_strike(score, levels)
    _score_open(score)
    _score_total(score, levels[C_BANDS])


cdef inline void _score_smooth(score_t *score, const int16_t *levels) noexcept nogil:
    cdef int16_t *row = score.levels[score.level_at]
    cdef int i
    for i in range(LANES):
        score.level_sum[i] += levels[i] - row[i]
        row[i] = levels[i]
    score.level_at = score.level_at + 1 if score.level_at + 1 < SMOOTH_BLOCKS else 0


cdef inline void _score_floor(score_t *score) noexcept nogil:
    cdef int16_t smoothed
    cdef int i, j
    for i in range(LANES):
        smoothed = <int16_t>(score.level_sum[i] // SMOOTH_BLOCKS)
        score.windows[0][i] = min(score.windows[0][i], smoothed)
    score.window_blocks += 1
    if score.window_blocks == FLOOR_WINDOW_BLOCKS:
        score.window_blocks = 0
        for j in range(FLOOR_WINDOWS - 1, 0, -1):
            memcpy(score.windows[j], score.windows[j - 1], sizeof(score.windows[j]))
        for i in range(LANES):
            score.windows[0][i] = <int16_t>(score.level_sum[i] // SMOOTH_BLOCKS)
    memcpy(score.floor, score.windows[0], sizeof(score.floor))
    for j in range(1, FLOOR_WINDOWS):
        for i in range(LANES):
            score.floor[i] = min(score.floor[i], score.windows[j][i])


cdef inline void _score_strike(score_t *score, const int16_t *levels) noexcept nogil:
    """How far all bands together have risen by more than 10 dB from one block to the next."""
    cdef int32_t strike = 0
    cdef int i, at = score.over_at  # which moves on after this
    cdef int16_t total = 0
    for i in range(C_BANDS):
        strike += max(0, levels[i] - score.before[i] - LEAST_STRIKE)
        total += levels[i]
    score.mean_at = (score.mean_at + 1) % RECENT_BLOCKS
    score.means[score.mean_at] = total
    memcpy(score.before, levels, sizeof(score.before))
    score.strike_sum += strike - score.strikes[at]
    score.strikes[at] = strike


cdef inline void _score_open(score_t *score) noexcept nogil:
    """Cut off short peaks, and take in the block that is complete with it, 40 ms late."""
    cdef int16_t *low = score.lows[score.low_at]
    cdef int16_t *row = score.opened[score.opened_at]
    cdef int16_t *over = score.over[score.over_at]
    cdef int16_t level, excess
    cdef int i, j, at = score.level_at
    memcpy(low, score.levels[(at + SMOOTH_BLOCKS - 1) % SMOOTH_BLOCKS], C_BANDS * sizeof(int16_t))
    for j in range(2, OPEN_BLOCKS + 1):
        for i in range(C_BANDS):
            low[i] = min(low[i], score.levels[(at + SMOOTH_BLOCKS - j) % SMOOTH_BLOCKS][i])
    score.low_at = score.low_at + 1 if score.low_at + 1 < OPEN_BLOCKS else 0
    score.opened_at = score.opened_at + 1 if score.opened_at + 1 < MODULATION_BLOCKS else 0
    score.over_at = score.over_at + 1 if score.over_at + 1 < PRESENCE_BLOCKS else 0
    for i in range(C_BANDS):
        level = score.lows[0][i]
        for j in range(1, OPEN_BLOCKS):
            level = max(level, score.lows[j][i])
        score.opened_sum[i] += level - row[i]
        score.opened_squares[i] += <int32_t>level * level - <int32_t>row[i] * row[i]
        row[i] = level
        excess = level - score.floor[i] - LEAST_PRESENCE
        excess = max(0, min(MOST_PRESENCE, excess))
        score.over_sum[i] += excess - over[i]
        over[i] = excess


cdef inline void _score_total(score_t *score, int16_t level) noexcept nogil:
    """The level of the last 0.27 s, and its peak of 2.8 to 3 s."""
    cdef int i
    score.total_sum += level - score.totals[score.total_at]
    score.totals[score.total_at] = level
    score.total_at = score.total_at + 1 if score.total_at + 1 < TOTAL_BLOCKS else 0
    if score.window_blocks == 0:
        for i in range(PEAK_WINDOWS - 1, 0, -1):
            score.peaks[i] = score.peaks[i - 1]
        score.peaks[0] = score.total_sum
    score.peaks[0] = max(score.peaks[0], score.total_sum)


cdef inline bint _stands_out(const int16_t *levels, const int16_t *floor) noexcept nogil:
    """Whether a block alone is over the floor, in the three bands where it is the most."""
    cdef int32_t over[C_BANDS]
    cdef int i
    for i in range(C_BANDS):
        over[i] = levels[i] - floor[i]
    _three_most(over)
    return over[0] + over[1] + over[2] >= 3 * LEAST_PRESENCE


cdef inline void _three_most(int32_t *values) noexcept nogil:
    """Bring the three largest to the front, the largest first."""
    cdef int32_t a = INT32_LEAST, b = INT32_LEAST, c = INT32_LEAST, value
    cdef int i
    for i in range(C_BANDS):
        value = values[i]
        if value > a:
            a, b, c = value, a, b
        elif value > b:
            b, c = value, b
        elif value > c:
            c = value
    values[0] = a
    values[1] = b
    values[2] = c


cdef double _score(const score_t *score) noexcept nogil:
    """Over 0 for speech, of the block before the last six."""
    cdef int32_t values[C_BANDS]
    cdef double presence, modulation = 0.0, decline
    cdef double strikes = score.strike_sum / (8.0 * C_BANDS * PRESENCE_BLOCKS)
    cdef int32_t peak = score.peaks[0]
    cdef int i
    memcpy(values, score.over_sum, sizeof(values))
    _three_most(values)
    presence = (values[0] + values[1] + values[2]) / (3.0 * 8 * PRESENCE_BLOCKS)
    for i in range(C_BANDS):
        values[i] = (
            MODULATION_BLOCKS * score.opened_squares[i]
            - score.opened_sum[i] * score.opened_sum[i]
        )
    _three_most(values)
    for i in range(3):
        modulation += sqrt(<double>values[i]) / (3.0 * 8 * MODULATION_BLOCKS)
    for i in range(1, PEAK_WINDOWS):
        peak = max(peak, score.peaks[i])
    decline = max(-MOST_DECLINE, (score.total_sum - peak) / (8.0 * TOTAL_BLOCKS))
    return (
        0.45 * presence + 0.4 * modulation + 0.05 * decline - 2.5 * strikes - 3.2
    )
