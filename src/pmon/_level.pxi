# The level meter: what a microphone delivers, in windows of 100 ms.


cdef void level_init(level_meter_t *meter, int sample_rate, int num_channels) noexcept nogil:
    memset(meter, 0, sizeof(level_meter_t))
    meter.num_channels = num_channels
    meter.window = sample_rate // 10


cdef void level_feed(level_meter_t *meter, const int16_t *samples, Py_ssize_t n) noexcept nogil:
    """Take ``n`` interleaved samples, a whole number of frames."""
    cdef int64_t frames = n // meter.num_channels, take
    while frames > 0:
        take = meter.window - meter.filled
        take = take if take < frames else frames
        _level_add(meter, samples, take * meter.num_channels)
        samples += take * meter.num_channels
        frames -= take
        meter.filled += take
        meter.position += take
        if meter.filled == meter.window:
            _level_close_window(meter)


cdef inline void _level_add(
    level_meter_t *meter, const int16_t *samples, Py_ssize_t n
) noexcept nogil:
    cdef stats_t stats = measure_samples(samples, n)
    cdef int32_t loudest = _peak(stats)
    cdef int64_t total
    cdef Py_ssize_t i
    cdef int channel, step = meter.num_channels
    meter.sum_of_squares += stats.sum_of_squares
    if step == 1:
        meter.sum[0] += stats.sum
    else:
        for channel in range(step):
            total = 0
            for i in range(n // step):
                total += samples[i * step + channel]
            meter.sum[channel] += total
    meter.peak = loudest if loudest > meter.peak else meter.peak
    if loudest >= C_CLIP_LEVEL:
        _level_count_clipped(meter, samples, n)
    else:
        memset(meter.clip_run, 0, sizeof(meter.clip_run))


cdef void _level_count_clipped(
    level_meter_t *meter, const int16_t *samples, Py_ssize_t n
) noexcept nogil:
    """Runs at the rail, each channel's own, over the borders of calls."""
    cdef Py_ssize_t i
    cdef int channel = 0
    cdef int *run
    for i in range(n):
        run = &meter.clip_run[channel]
        if -C_CLIP_LEVEL < samples[i] < C_CLIP_LEVEL:
            run[0] = 0
        elif run[0] < C_CLIP_RUN:
            run[0] += 1
            if run[0] == C_CLIP_RUN:
                meter.clipped_samples += C_CLIP_RUN
        else:
            meter.clipped_samples += 1
        channel = channel + 1 if channel + 1 < meter.num_channels else 0


cdef void _level_close_window(level_meter_t *meter) noexcept nogil:
    cdef double dc = 0.0, channel_dc
    cdef int channel
    # Channels apart: opposite offsets in two of them must not cancel out.
    for channel in range(meter.num_channels):
        channel_dc = meter.sum[channel] / (meter.window * 32768.0)
        if (channel_dc if channel_dc > 0 else -channel_dc) > (dc if dc > 0 else -dc):
            dc = channel_dc
        meter.sum[channel] = 0
    meter.last_dc = dc
    meter.last_power = meter.sum_of_squares / (meter.window * meter.num_channels * SCALE)
    meter.last_peak = meter.peak
    if meter.peak == 0:
        meter.silent_samples += meter.window
    meter.sum_of_squares = 0
    meter.peak = 0
    meter.filled = 0


cdef class LevelMeter:
    """Level, peak, clipping, offset and digital silence of a stream.

    ``sample_rate`` is 8000 to 192000 Hz, ``num_channels`` 1 to 8, interleaved. Levels are those of
    the last complete 100 ms, over all channels; before there is one they are those of silence.
    """

    cdef level_meter_t meter

    def __cinit__(self, int sample_rate, int num_channels=1):
        _check_stream(sample_rate, num_channels)
        level_init(&self.meter, sample_rate, num_channels)

    @cython.critical_section
    def process(self, samples) -> None:
        """Take the next samples, a whole number of frames (else ValueError)."""
        cdef Py_buffer view
        _acquire(samples, &view)
        try:
            _check_whole(view.len // 2, self.meter.num_channels)
            level_feed(&self.meter, <const int16_t *>view.buf, view.len // 2)
        finally:
            PyBuffer_Release(&view)

    @cython.critical_section
    def reset(self) -> None:
        """Begin anew."""
        level_init(&self.meter, self.meter.window * 10, self.meter.num_channels)

    @property
    def rms(self) -> float:
        """0 to 1."""
        return sqrt(self.meter.last_power)

    @property
    def dbov(self) -> float:
        """-127 to 0."""
        return _dbov(self.meter.last_power)

    @property
    def peak(self) -> float:
        """Largest absolute sample, 0 to 1."""
        return self.meter.last_peak / 32768.0

    @property
    def dc(self) -> float:
        """Mean of the channel with the largest offset, -1 to 1."""
        return self.meter.last_dc

    @property
    def samples_per_channel(self) -> int:
        """Fed so far."""
        return self.meter.position

    @property
    def clipped_samples(self) -> int:
        """Samples of all channels in runs of at least 3 at the rail, so far."""
        return self.meter.clipped_samples

    @property
    def silent_samples(self) -> int:
        """Samples per channel in windows of 100 ms in which every sample was zero, so far."""
        return self.meter.silent_samples
