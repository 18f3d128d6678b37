# From samples to the powers of blocks of 10 ms, channels apart.
#
# A block has two powers. ``power`` is that without the block's mean: what the threshold judges and
# what the level of speech is made of. ``voice`` is that without the means of the block's quarters,
# 2.5 ms each: 13 dB less of 50 Hz, 7 dB less of 100 Hz, and all from 400 Hz on. Mains hum, fans
# and traffic live down there, in slow and wild motion that looks like syllables; speech does
# without. What begins and ends a run, and the floor, are judged by it.


cdef int speaking_feed(speaking_t *detector, const int16_t *samples, Py_ssize_t n) noexcept nogil:
    """Take ``n`` interleaved samples, a whole number of frames. Returns the new transitions."""
    cdef int before = detector.num_transitions
    cdef int64_t frames = n // detector.num_channels, take, left
    while frames > 0:
        left = _quarter_end(detector, detector.quarter) - detector.filled
        take = left if left < frames else frames
        _speaking_add(detector, samples, take)
        samples += take * detector.num_channels
        frames -= take
        detector.filled += take
        if take == left:
            _speaking_close_quarter(detector)
        if detector.filled == detector.block:
            _speaking_close_block(detector)
            detector.position += detector.block
            _speaking_block(detector)
    return detector.num_transitions - before


cdef inline int64_t _quarter_end(const speaking_t *detector, int quarter) noexcept nogil:
    return (quarter + 1) * detector.block // QUARTERS


cdef inline void _speaking_add(
    speaking_t *detector, const int16_t *samples, int64_t frames
) noexcept nogil:
    cdef int64_t total = 0, i
    cdef uint64_t squares = 0
    cdef int channel, step = detector.num_channels
    if step == 1:
        for i in range(frames):
            total += samples[i]
            squares += _square(samples[i])
        detector.sum[0] += total
        detector.sum_of_squares[0] += <int64_t>squares
        return
    for channel in range(step):
        total = 0
        squares = 0
        for i in range(frames):
            total += samples[i * step + channel]
            squares += _square(samples[i * step + channel])
        detector.sum[channel] += total
        detector.sum_of_squares[channel] += <int64_t>squares


cdef inline void _speaking_close_quarter(speaking_t *detector) noexcept nogil:
    cdef int64_t n = detector.filled - _quarter_end(detector, detector.quarter - 1)
    cdef int channel
    for channel in range(detector.num_channels):
        detector.low_energy[channel] += <double>detector.sum[channel] * detector.sum[channel] / n
        detector.block_sum[channel] += detector.sum[channel]
        detector.sum[channel] = 0
    detector.quarter += 1


cdef inline void _speaking_close_block(speaking_t *detector) noexcept nogil:
    """Powers of the loudest channel, of samples scaled to -1..1.

    Not of a mix: a voice in opposite phase in two channels would vanish there.
    """
    cdef double power = 0.0, voice = 0.0, energy, mean, n = detector.block
    cdef int channel
    for channel in range(detector.num_channels):
        energy = detector.sum_of_squares[channel]
        mean = detector.block_sum[channel] / n
        power = _larger(power, energy / n - mean * mean)
        voice = _larger(voice, (energy - detector.low_energy[channel]) / n)
    detector.power = power / SCALE
    detector.voice = voice / SCALE
    _speaking_open_block(detector)


cdef inline void _speaking_open_block(speaking_t *detector) noexcept nogil:
    cdef int channel
    for channel in range(detector.num_channels):
        detector.sum[channel] = detector.block_sum[channel] = 0
        detector.sum_of_squares[channel] = 0
        detector.low_energy[channel] = 0.0
    detector.filled = 0
    detector.quarter = 0


cdef inline double _larger(double a, double b) noexcept nogil:
    return a if a > b else b
