# Microphone health: running totals that an active speech level, a share of clipping and one of
# silence are reckoned from, for any stretch of time; and what the sound is like now.
#
# The active speech level is that of ITU-T P.56, method B: an envelope, seconds over each of 15
# thresholds 6.02 dB apart with a hangover of 0.2 s, and the energy; see ``active_level``. P.56
# smooths the magnitude of each sample. Here it is the mean magnitude of each 2.5 ms, which a
# compiler sums many at a time: to an envelope of 30 ms twice it is nearly the same.
#
# The floor is the quietest 100 ms of the last 4.5 to 5 s (minimum statistics, after R. Martin,
# 2001, with windows long enough to need no correction for their bias): a true level, low
# frequencies included. Even fluent speech has gaps that short within some seconds.
#
# Clipping is told by the samples in the last decibel under full scale. A codec makes ripples of the
# flat tops, and hardly a run at the rail is left of them (3 in 100 000 samples of speech that was
# driven 6 dB over it, 400 of which were in runs before); but they stay near it. Of speech that just
# reaches full scale 4 in 100 000 samples are there, of that which was driven over it 300 and more.
#
# Of several channels the loudest counts, from one moment to the next; each has its own offset.


cdef void mic_init(mic_t *meter, int sample_rate, int num_channels) noexcept nogil:
    memset(meter, 0, sizeof(mic_t))
    meter.sample_rate = sample_rate
    meter.num_channels = num_channels
    meter.block = (sample_rate + 50) // 100
    _mic_begin(meter)


cdef void mic_resume(mic_t *meter) noexcept nogil:
    """The stream begins anew: totals are kept, and of what comes the first 200 ms left out.

    A decoder that has just begun gives silence, or fades in.
    """
    meter.skip = meter.sample_rate // 5
    _mic_begin(meter)


cdef void _mic_begin(mic_t *meter) noexcept nogil:
    cdef int i
    _mic_open_block(meter)
    meter.smoothed = meter.envelope = 0.0
    meter.tick = meter.level = 0
    for i in range(P56_LEVELS):
        meter.last[i] = -P56_HANGOVER - 1
    meter.blocks_heard = meter.blocks_sounding = 0
    meter.loudest = -1.0
    for i in range(QUIETEST_WINDOWS):
        meter.quietest[i] = INFINITY


cdef void mic_feed(mic_t *meter, const int16_t *samples, Py_ssize_t n) noexcept nogil:
    """Take ``n`` interleaved samples, a whole number of frames."""
    cdef int64_t frames = n // meter.num_channels, take, left
    take = meter.skip if meter.skip < frames else frames
    meter.skip -= take
    while True:
        samples += take * meter.num_channels
        frames -= take
        if frames == 0:
            return
        left = _mic_quarter_end(meter, meter.quarter) - meter.filled
        take = left if left < frames else frames
        _mic_add(meter, samples, take)
        meter.filled += take
        if take == left:
            _mic_close_quarter(meter)
        if meter.filled == meter.block:
            _mic_close_block(meter)


cdef inline int64_t _mic_quarter_end(const mic_t *meter, int quarter) noexcept nogil:
    return (quarter + 1) * meter.block // 4


cdef inline void _mic_add(mic_t *meter, const int16_t *samples, int64_t frames) noexcept nogil:
    """Take no more than a quarter of a block, 480 frames: sums of magnitudes fit 32 bits."""
    cdef int32_t total, magnitude, offset
    cdef int16_t low = 0, high = 0
    cdef uint64_t squares
    cdef int16_t sample
    cdef int channel, step = meter.num_channels
    cdef int64_t i
    for channel in range(step):
        total = magnitude = 0
        squares = 0
        offset = meter.offset[channel]
        # Alike but for the step: the compiler makes vectors of the first, if it stands apart.
        if step == 1:
            for i in range(frames):
                total += samples[i]
                squares += _square(samples[i])
                magnitude += _magnitude(samples[i] - offset)
                low = samples[i] if samples[i] < low else low
                high = samples[i] if samples[i] > high else high
        else:
            for i in range(frames):
                sample = samples[i * step + channel]
                total += sample
                squares += _square(sample)
                magnitude += _magnitude(sample - offset)
                low = sample if sample < low else low
                high = sample if sample > high else high
        meter.sum[channel] += total
        meter.sum_of_squares[channel] += <int64_t>squares
        meter.magnitude[channel] += magnitude
    if low <= -RAIL or high >= RAIL:
        _mic_count_near_rail(meter, samples, frames)


cdef void _mic_count_near_rail(
    mic_t *meter, const int16_t *samples, int64_t frames
) noexcept nogil:
    cdef int32_t count
    cdef int channel, step = meter.num_channels
    cdef int64_t i
    for channel in range(step):
        count = 0
        for i in range(frames):
            count += _magnitude(samples[i * step + channel]) >= RAIL
        meter.rail_samples[channel] += count


cdef inline int32_t _magnitude(int32_t value) noexcept nogil:
    return value if value >= 0 else -value


cdef inline void _mic_close_quarter(mic_t *meter) noexcept nogil:
    cdef int64_t n = meter.filled - _mic_quarter_end(meter, meter.quarter - 1)
    cdef int32_t magnitude = 0
    cdef int channel
    for channel in range(meter.num_channels):
        magnitude = max(magnitude, meter.magnitude[channel])
        meter.magnitude[channel] = 0
    meter.quarter += 1
    _mic_hear_activity(meter, magnitude / (n * 32768.0))


cdef inline void _mic_hear_activity(mic_t *meter, double magnitude) noexcept nogil:
    """Note which thresholds the envelope has been over in the last 0.2 s: a highest one and all
    below it.
    """
    cdef int level
    meter.smoothed += P56_RISE * (magnitude - meter.smoothed)
    meter.envelope += P56_RISE * (meter.smoothed - meter.envelope)
    # The thresholds are 2**-15 to 2**-1: so many of them the envelope is over.
    level = ilogb(meter.envelope) + P56_LEVELS if meter.envelope > P56_LEAST else 0
    level = level if level < P56_LEVELS else P56_LEVELS - 1
    meter.tick += 1
    meter.last[level] = meter.tick
    if meter.level < level:
        meter.level = level
    while meter.level > level and meter.tick - meter.last[meter.level] > P56_HANGOVER:
        meter.level -= 1
    meter.ticks_at[meter.level] += 1


cdef inline void _mic_close_block(mic_t *meter) noexcept nogil:
    cdef double power = 0.0, n = meter.block, mean, square, offset
    cdef int64_t known = min(meter.blocks + 1, DC_BLOCKS)  # of the offset, a mean at first
    cdef int channel, at = meter.blocks_heard % LOUDNESS_BLOCKS
    for channel in range(meter.num_channels):
        mean = meter.sum[channel] / n
        square = meter.sum_of_squares[channel] / n
        meter.dc[channel] += (mean - meter.dc[channel]) / known
        offset = meter.dc[channel]
        power = max(power, square - 2.0 * offset * mean + offset * offset)
        meter.offset[channel] = <int32_t>floor(offset + 0.5)
        meter.recent_mean[channel][at] = mean
        meter.recent_square[channel][at] = square
    # In integers, since they lose nothing: two weeks of a full-scale square wave fit.
    meter.energy += <int64_t>(power / SCALE * ENERGY_SCALE + 0.5)
    meter.blocks += 1
    meter.silent_blocks += power < SILENT
    meter.blocks_heard += 1
    if power >= SILENT or meter.blocks_sounding:
        meter.blocks_sounding += 1
    if meter.blocks_heard % 2 == 0 and meter.blocks_heard >= LOUDNESS_BLOCKS:
        _mic_hear_loudness(meter)
    _mic_open_block(meter)


cdef inline double _mic_recent_power(const mic_t *meter) noexcept nogil:
    """Of the last 100 ms, without their own mean: what is left in the offset of a voice just over
    is louder than many a room.
    """
    cdef double power = 0.0, mean, square
    cdef int channel, i
    for channel in range(meter.num_channels):
        mean = square = 0.0
        for i in range(LOUDNESS_BLOCKS):
            mean += meter.recent_mean[channel][i]
            square += meter.recent_square[channel][i]
        mean /= LOUDNESS_BLOCKS
        power = max(power, square / LOUDNESS_BLOCKS - mean * mean)
    return power / SCALE


cdef inline void _mic_hear_loudness(mic_t *meter) noexcept nogil:
    """Keep the loudest and the quietest 100 ms, which begin every 20 ms."""
    cdef double power = _mic_recent_power(meter)
    cdef int i
    meter.loudest = max(meter.loudest, power)
    # On a busy server a decoder may wait for its first packets for longer than what was left out.
    if meter.blocks_sounding >= LOUDNESS_BLOCKS:
        meter.quietest[0] = min(meter.quietest[0], power)
    if meter.blocks_heard % QUIETEST_BLOCKS == 0:
        for i in range(QUIETEST_WINDOWS - 1, 0, -1):
            meter.quietest[i] = meter.quietest[i - 1]
        meter.quietest[0] = INFINITY


cdef inline void _mic_open_block(mic_t *meter) noexcept nogil:
    cdef int channel
    for channel in range(meter.num_channels):
        meter.sum[channel] = meter.sum_of_squares[channel] = meter.magnitude[channel] = 0
    meter.filled = 0
    meter.quarter = 0


# --- what it says


cdef mic_totals_t mic_totals(const mic_t *meter) noexcept nogil:
    cdef mic_totals_t totals
    cdef double block_s = <double>meter.block / meter.sample_rate
    cdef int64_t ticks = 0, rail = 0
    cdef int i
    totals.heard_s = meter.blocks * block_s
    totals.energy = meter.energy / ENERGY_SCALE * block_s
    for i in range(P56_LEVELS - 1, 0, -1):
        ticks += meter.ticks_at[i]
        totals.active_s[i - 1] = ticks * block_s / 4
    for i in range(meter.num_channels):
        rail = max(rail, meter.rail_samples[i])
    totals.rail_s = <double>rail / meter.sample_rate
    totals.silent_s = meter.silent_blocks * block_s
    return totals


cdef double mic_level(const mic_t *meter) noexcept nogil:
    """The power of the last 100 ms; negative while there are none since the start or resume."""
    return _mic_recent_power(meter) if meter.blocks_heard >= LOUDNESS_BLOCKS else -1.0


cdef double mic_floor(const mic_t *meter) noexcept nogil:
    """The power of the quietest 100 ms of the last 5 s; negative before a second of sound."""
    cdef double least = meter.quietest[0]
    cdef int i
    if meter.blocks_sounding < 100:
        return -1.0
    for i in range(1, QUIETEST_WINDOWS):
        least = min(least, meter.quietest[i])
    return least


cdef double mic_dc(const mic_t *meter) noexcept nogil:
    cdef double dc = 0.0
    cdef int channel
    for channel in range(meter.num_channels):
        if fabs(meter.dc[channel]) > fabs(dc):
            dc = meter.dc[channel]
    return dc / 32768.0


def active_level(double energy, active_s) -> tuple[float, float] | None:
    """The active speech level of ITU-T P.56, method B, in dBov, and how many seconds are active.

    ``energy`` is mean square times seconds, ``active_s`` the seconds over each of the 15
    thresholds 2**-15 to 2**-1, hangover included: totals of a ``MicMeter``, or their differences
    over some time. None without anything over -74 dBov. Clicks far shorter than the envelope, so
    that they are over no threshold 15.9 dB under their level, are as active as the highest that
    they are over.
    """
    cdef double level, threshold, margin, level_before = 0.0, margin_before = INFINITY, part
    cdef int j
    if len(active_s) != P56_LEVELS - 1:
        raise ValueError(f"active_s must have {P56_LEVELS - 1} thresholds, not {len(active_s)}")
    if energy <= 0.0 or active_s[0] <= 0.0:
        return None
    for j in range(P56_LEVELS - 1):
        if active_s[j] <= 0.0:
            break
        level = 10.0 * log10(energy / <double>active_s[j])
        threshold = 20.0 * log10(2.0) * (j - 15)
        margin = level - threshold - P56_MARGIN
        if margin <= 0.0:
            if j == 0:
                return None
            part = margin_before / (margin_before - margin)
            level_before += part * (level - level_before)
            break
        level_before, margin_before = level, margin
    return level_before, energy / 10.0 ** (level_before / 10.0)


cdef class MicMeter:
    """What a microphone is judged by: active speech level, noise floor, clipping, offset, silence.

    ``sample_rate`` is 8000 to 192000 Hz, ``num_channels`` 1 to 8, interleaved. How the stream is
    cut into calls of ``process`` does not matter. Totals count from the start, so what lies
    between two of them belongs to the time in between.
    """

    cdef mic_t meter

    def __cinit__(self, int sample_rate, int num_channels=1):
        _check_stream(sample_rate, num_channels)
        mic_init(&self.meter, sample_rate, num_channels)

    @cython.critical_section
    def process(self, samples) -> None:
        """Take the next samples, a whole number of frames (else ValueError)."""
        cdef Py_buffer view
        _acquire(samples, &view)
        try:
            _check_whole(view.len // 2, self.meter.num_channels)
            mic_feed(&self.meter, <const int16_t *>view.buf, view.len // 2)
        finally:
            PyBuffer_Release(&view)

    @cython.critical_section
    def resume(self) -> None:
        """The stream begins anew (unmuted, enabled): its first 200 ms are left out of everything,
        and floor and loudest 100 ms are those since then.
        """
        mic_resume(&self.meter)

    @cython.critical_section
    def totals(self) -> tuple[float, float, tuple[float, ...], float, float]:
        """(heard_s, energy, active_s, rail_s, silent_s) since the start, in blocks of 10 ms.

        ``energy`` and ``active_s`` are what ``active_level`` takes. ``rail_s`` are the samples
        in the last decibel under full scale, in seconds, of the channel with the most;
        ``silent_s`` the blocks under -97 dBov, as which digital silence comes out of a codec.
        """
        cdef mic_totals_t totals = mic_totals(&self.meter)
        active_s = tuple([totals.active_s[i] for i in range(P56_LEVELS - 1)])
        return totals.heard_s, totals.energy, active_s, totals.rail_s, totals.silent_s

    @property
    @cython.critical_section
    def samples_per_channel(self) -> int:
        """Heard so far: what was left out is not among them."""
        return self.meter.blocks * self.meter.block + self.meter.filled

    @property
    @cython.critical_section
    def floor_dbov(self) -> float | None:
        """The quietest 100 ms of the last 5 s in dBov, without the silence before the first sound
        since the start or ``resume``; None before there was a second.
        """
        cdef double power = mic_floor(&self.meter)
        return _dbov(power) if power >= 0 else None

    @property
    @cython.critical_section
    def level_dbov(self) -> float | None:
        """The last 100 ms in dBov, without their offset, of the loudest channel; None before there
        were any since the start or ``resume``.
        """
        cdef double power = mic_level(&self.meter)
        return _dbov(power) if power >= 0 else None

    @property
    @cython.critical_section
    def loudest_dbov(self) -> float | None:
        """The loudest 100 ms since the start or ``resume``, in dBov; None before there was one."""
        return _dbov(self.meter.loudest) if self.meter.loudest >= 0 else None

    @property
    @cython.critical_section
    def dc(self) -> float:
        """The offset of the channel that has the largest, smoothed over 1 s; -1 to 1."""
        return mic_dc(&self.meter)
