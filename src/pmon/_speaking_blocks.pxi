# From samples to blocks of 10 ms: their power, and how loud each band of speech is.
#
# Channels stay apart until a block is complete, and then the loudest counts: a voice in opposite
# phase in two channels would vanish in a mix of them.


cdef int speaking_feed(speaking_t *detector, const int16_t *samples, Py_ssize_t n) noexcept nogil:
    """Take ``n`` interleaved samples, a whole number of frames. Returns the new transitions."""
    cdef int before = _bills_waiting(detector)
    cdef int64_t frames = n // detector.num_channels, take
    while frames > 0:
        take = min(detector.block - detector.filled, frames)
        _speaking_add(detector, samples, take)
        samples += take * detector.num_channels
        frames -= take
        detector.filled += take
        if detector.filled == detector.block:
            _speaking_close_block(detector)
    return _bills_waiting(detector) - before


cdef inline void _speaking_add(
    speaking_t *detector, const int16_t *samples, int64_t frames
) noexcept nogil:
    cdef int64_t squares, i
    cdef int32_t total  # of at most a block
    cdef int channel, step = detector.num_channels
    for channel in range(step):
        total = 0
        if step == 1:  # apart, since only so it is done several samples at a time
            for i in range(frames):
                total += samples[i]
            squares = _sum_of_squares(samples, frames)
        else:
            squares = 0
            for i in range(frames):
                total += samples[i * step + channel]
                squares += _square(samples[i * step + channel])
        detector.sum[channel] += total
        detector.sum_of_squares[channel] += squares
        _bands_feed(&detector.bands[channel], &detector.filter, samples + channel, frames, step)


cdef inline void _speaking_close_block(speaking_t *detector) noexcept nogil:
    cdef double power = 0.0, energy, mean, n = detector.block
    cdef float[C_BANDS] loudest
    cdef int channel
    cdef bint zero = True
    memset(loudest, 0, sizeof(loudest))
    for channel in range(detector.num_channels):
        energy = detector.sum_of_squares[channel]
        zero = zero and energy == 0
        mean = detector.sum[channel] / n
        power = max(power, energy / n - mean * mean)
        _bands_take(&detector.bands[channel], loudest, energy == 0)
    _speaking_open_block(detector)
    detector.position += detector.block
    _speaking_block(detector, power / SCALE, loudest, zero)


cdef inline void _speaking_open_block(speaking_t *detector) noexcept nogil:
    memset(detector.sum, 0, sizeof(detector.sum))
    memset(detector.sum_of_squares, 0, sizeof(detector.sum_of_squares))
    detector.filled = 0


cdef inline int16_t _level(double power) noexcept nogil:
    """A power of samples in steps of 1/8 dB over -75 dBov; 0 at the least."""
    cdef float level = LEVELS_PER_OCTAVE * log2f(<float>(power / LEAST_POWER) + 1e-9)
    return <int16_t>(level + 0.5) if level > 0 else 0
