# How much a block sounds like speech, from the levels of its bands.
#
# Four things tell speech from what is not, each in dB:
#   contrast    how unlike the bands are in how far they are over their own floors (their standard
#               deviation): speech stands out where its formants are, and most noise everywhere;
#   modulation  how much the three bands that move most have moved (their standard deviations)
#               within 0.18 s and within 0.43 s: syllables do, noise, hum and held tones do not;
#   decline     how far the level is under its peak of the last 3 s: echo, and others in the room;
#   strikes     how far all bands rose from one block to the next by more than 10 dB: a key strikes
#               them together, a voice takes its time.
# The floor of a band is the least of its levels over 1.6 to 1.8 s, smoothed over 0.1 s (minimum
# statistics, after R. Martin, 2001): even fluent speech has gaps that short. Before anything else,
# each band's peaks of less than 50 ms are cut off (a morphological opening), for these are the
# clicks of keys. The mix of the four is a logistic regression's on the tuning part of
# `benchmarks/speech`, rounded, but for strikes, which weigh more for the sake of an old typewriter.
#
# All levels are whole steps of 1/8 dB, so that sums over windows are exact and never drift.


cdef inline void _row_set(int16_t *row, int16_t level) noexcept nogil:
    cdef int i
    for i in range(LANES):
        row[i] = level


cdef void _score_init(score_t *score) noexcept nogil:
    cdef int i
    memset(score, 0, sizeof(score_t))
    for i in range(FLOOR_WINDOWS):
        _row_set(score.windows[i], UNKNOWN_LEVEL)
    _row_set(score.floor, UNKNOWN_LEVEL)
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
    for i in range(LONG_BLOCKS):
        memcpy(score.opened[i], levels, sizeof(score.opened[i]))
    _movement_fill(&score.short_term, levels, SHORT_BLOCKS)
    _movement_fill(&score.long_term, levels, LONG_BLOCKS)
    memset(score.contrasts, 0, sizeof(score.contrasts))
    score.contrast_sum = 0
    memset(score.strikes, 0, sizeof(score.strikes))
    score.strike_sum = 0
    for i in range(TOTAL_BLOCKS):
        score.totals[i] = levels[C_BANDS]
    score.total_sum = TOTAL_BLOCKS * levels[C_BANDS]
    score.loud = 0
    score.fresh = False


cdef inline void _movement_fill(
    movement_t *movement, const int16_t *levels, int32_t blocks
) noexcept nogil:
    cdef int i
    for i in range(C_BANDS):
        movement.sum[i] = blocks * levels[i]
        movement.squares[i] = blocks * levels[i] * levels[i]


cdef inline void _movement_take(
    movement_t *movement, const int16_t *new, const int16_t *old
) noexcept nogil:
    cdef int i
    for i in range(C_BANDS):
        movement.sum[i] += new[i] - old[i]
        movement.squares[i] += <int32_t>new[i] * new[i] - <int32_t>old[i] * old[i]


cdef inline double _movement(const movement_t *movement, int32_t blocks) noexcept nogil:
    """Standard deviation in dB, the mean of the three bands where it is the largest."""
    cdef int32_t variance[C_BANDS]
    cdef double total = 0.0
    cdef int i
    for i in range(C_BANDS):
        variance[i] = blocks * movement.squares[i] - movement.sum[i] * movement.sum[i]
    _three_most(variance)
    for i in range(3):
        total += sqrt(<double>variance[i])
    return total / (3.0 * 8 * blocks)


cdef void _score_begin(score_t *score, const int16_t *levels) noexcept nogil:
    """The first block, or the first after a break: nothing is known of what was before it.

    Where a floor is known it is taken to have been quiet. Otherwise the block itself has to do:
    what goes on like this is no speech.
    """
    if score.floor[0] == UNKNOWN_LEVEL:
        _score_fill(score, levels)
    else:
        _score_fill(score, score.floor)


cdef void _score_block(score_t *score, const int16_t *levels, int bands) noexcept nogil:
    """Take the levels of the next block: of its bands, of which so many count, and of the whole."""
    if score.fresh:
        _score_begin(score, levels)
    _score_smooth(score, levels)
    _score_floor(score)
    score.loud = (score.loud << 1) | _stands_out(levels, score.floor)
    _score_strike(score, levels)
    _score_mean(score, levels)
    _score_open(score, bands)
    _score_total(score, levels[C_BANDS])


cdef inline void _score_smooth(score_t *score, const int16_t *levels) noexcept nogil:
    cdef int16_t *row = score.levels[score.level_at]
    cdef int i
    for i in range(LANES):
        score.level_sum[i] += levels[i] - row[i]
        row[i] = levels[i]
    score.level_at = score.level_at + 1 if score.level_at + 1 < SMOOTH_BLOCKS else 0


cdef inline void _score_floor(score_t *score) noexcept nogil:
    cdef int16_t[LANES] smoothed
    cdef int i, j
    for i in range(LANES):
        smoothed[i] = <int16_t>(score.level_sum[i] // SMOOTH_BLOCKS)
        score.windows[0][i] = min(score.windows[0][i], smoothed[i])
        score.floor[i] = min(score.floor[i], smoothed[i])
    score.window_blocks += 1
    if score.window_blocks < FLOOR_WINDOW_BLOCKS:
        return
    score.window_blocks = 0
    for j in range(FLOOR_WINDOWS - 1, 0, -1):
        memcpy(score.windows[j], score.windows[j - 1], sizeof(score.windows[j]))
    memcpy(score.windows[0], smoothed, sizeof(smoothed))
    memcpy(score.floor, smoothed, sizeof(smoothed))
    for j in range(1, FLOOR_WINDOWS):
        for i in range(LANES):
            score.floor[i] = min(score.floor[i], score.windows[j][i])


cdef inline void _score_strike(score_t *score, const int16_t *levels) noexcept nogil:
    """How far all bands together have risen by more than 10 dB from one block to the next."""
    cdef const int16_t *before = score.levels[
        (score.level_at + SMOOTH_BLOCKS - 2) % SMOOTH_BLOCKS
    ]
    cdef int32_t strike = 0
    cdef int i, at = score.contrast_at  # which moves on after this
    for i in range(C_BANDS):
        strike += max(0, levels[i] - before[i] - LEAST_STRIKE)
    score.strike_sum += strike - score.strikes[at]
    score.strikes[at] = strike


cdef inline void _score_mean(score_t *score, const int16_t *levels) noexcept nogil:
    cdef int16_t total = 0
    cdef int i
    for i in range(C_BANDS):
        total += levels[i]
    score.mean_at = (score.mean_at + 1) % RECENT_BLOCKS
    score.means[score.mean_at] = total


cdef inline void _score_open(score_t *score, int bands) noexcept nogil:
    """Cut off short peaks, and take in the block that is complete with it, 40 ms late."""
    cdef int16_t *low = score.lows[score.low_at]
    cdef int16_t row[C_BANDS]
    cdef int32_t excess, total = 0, squares = 0
    cdef int16_t level
    cdef int i, j, at = score.level_at
    memcpy(low, score.levels[(at + SMOOTH_BLOCKS - 1) % SMOOTH_BLOCKS], C_BANDS * sizeof(int16_t))
    for j in range(2, OPEN_BLOCKS + 1):
        for i in range(C_BANDS):
            low[i] = min(low[i], score.levels[(at + SMOOTH_BLOCKS - j) % SMOOTH_BLOCKS][i])
    score.low_at = score.low_at + 1 if score.low_at + 1 < OPEN_BLOCKS else 0
    memset(row, 0, sizeof(row))
    for i in range(bands):
        level = score.lows[0][i]
        for j in range(1, OPEN_BLOCKS):
            level = max(level, score.lows[j][i])
        row[i] = level
        excess = max(0, min(MOST_EXCESS, level - score.floor[i] - LEAST_EXCESS))
        total += excess
        squares += excess * excess
    _score_contrast(score, bands * squares - total * total, bands)
    _score_move(score, row)


cdef inline void _score_move(score_t *score, const int16_t *row) noexcept nogil:
    cdef int at = score.opened_at
    _movement_take(&score.long_term, row, score.opened[at])
    _movement_take(
        &score.short_term, row, score.opened[(at + LONG_BLOCKS - SHORT_BLOCKS) % LONG_BLOCKS]
    )
    memcpy(score.opened[at], row, sizeof(score.opened[at]))
    score.opened_at = at + 1 if at + 1 < LONG_BLOCKS else 0


cdef inline void _score_contrast(score_t *score, int32_t variance, int bands) noexcept nogil:
    """Take the spread of the bands in a block, from its variance times their number squared."""
    cdef int32_t contrast = <int32_t>(16.0 * sqrt(<double>variance) / bands)
    score.contrast_sum += contrast - score.contrasts[score.contrast_at]
    score.contrasts[score.contrast_at] = contrast
    score.contrast_at = score.contrast_at + 1 if score.contrast_at + 1 < CONTRAST_BLOCKS else 0


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
    return over[0] + over[1] + over[2] >= 3 * STANDS_OUT


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
    cdef double contrast = score.contrast_sum / (16.0 * 8 * CONTRAST_BLOCKS)
    cdef double strikes = score.strike_sum / (8.0 * C_BANDS * CONTRAST_BLOCKS)
    cdef double decline
    cdef int32_t peak = score.peaks[0]
    cdef int i
    for i in range(1, PEAK_WINDOWS):
        peak = max(peak, score.peaks[i])
    decline = max(-MOST_DECLINE, (score.total_sum - peak) / (8.0 * TOTAL_BLOCKS))
    return (
        0.6 * contrast
        + 0.4 * _movement(&score.short_term, SHORT_BLOCKS)
        + 0.2 * _movement(&score.long_term, LONG_BLOCKS)
        + 0.08 * decline
        - 5.0 * strikes
        - 2.4
    )
