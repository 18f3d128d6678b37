# The bands of speech: from int16 samples to how loud each of eight bands is.
#
# Samples are averaged down to some 16 kHz first. What lies above 8 kHz and folds down with that is
# noise or the noise of an s, and counts as such.

cdef extern from "_bands.h" nogil:
    enum:
        CHUNK "BANDS_CHUNK"
    void bands_filter(
        float *s1, float *s2, float *energy, const float *gain, const float *a1, const float *a2,
        const float *x, int n,
    )
    void bands_average(float *mean, int n, const int16_t *samples, int step, int factor)
    const double[C_BANDS] BAND_HZ "BANDS_HZ"
    const double BAND_Q "BANDS_Q"


cdef void _bands_design(bands_filter_t *filter, double sample_rate) noexcept nogil:
    """Band-passes of the second order with a peak gain of 1 (R. Bristow-Johnson's cookbook).

    Those that are too high for the rate stay silent.
    """
    cdef double w, alpha
    cdef int i
    memset(filter, 0, sizeof(bands_filter_t))
    filter.factor = max(1, <int>(sample_rate / 16000.0 + 0.5))
    for i in range(C_BANDS):
        w = 2.0 * M_PI * BAND_HZ[i] * filter.factor / sample_rate
        if w < 0.9 * M_PI:
            filter.bands = i + 1
            alpha = sin(w) / (2.0 * BAND_Q)
            filter.gain[i] = <float>(alpha / (1.0 + alpha))
            filter.a1[i] = <float>(-2.0 * cos(w) / (1.0 + alpha))
            filter.a2[i] = <float>((1.0 - alpha) / (1.0 + alpha))


cdef inline void _bands_feed(
    bands_t *bands, const bands_filter_t *filter, const int16_t *samples, int64_t frames, int step
) noexcept nogil:
    """Take the samples of one channel, which are ``step`` apart."""
    cdef float[CHUNK] chunk
    cdef int64_t at = 0
    cdef int n
    while at < frames:
        n = <int>min(<int64_t>CHUNK, (frames - at) // filter.factor)
        if bands.grouped or n == 0:  # a group that lies across two calls
            bands.group += samples[at * step]
            bands.grouped += 1
            at += 1
            n = bands.grouped == filter.factor
            if n:
                chunk[0] = bands.group * (<float>1.0 / filter.factor)
                bands.group = bands.grouped = 0
        else:
            bands_average(chunk, n, samples + at * step, step, filter.factor)
            at += n * filter.factor
        _bands_filter(bands, filter, chunk, n)


cdef inline void _bands_filter(
    bands_t *bands, const bands_filter_t *filter, const float *x, int n
) noexcept nogil:
    bands_filter(
        bands.s1, bands.s2, bands.energy, filter.gain, filter.a1, filter.a2, x, n
    )
    bands.samples += n


cdef inline void _bands_take(bands_t *bands, float *loudest, bint zero) noexcept nogil:
    """Close a block, which may have been all ``zero``: raise the mean square of each band, in steps
    of int16, to this channel's.
    """
    cdef float power, most = 0.0
    cdef int i
    for i in range(C_BANDS):
        power = bands.energy[i] / max(1, bands.samples)
        most = max(most, power)
        loudest[i] = max(loudest[i], power)
    if zero and most < 1e-3:  # numbers on their way to 0 end up as very slow ones
        memset(bands.s1, 0, sizeof(bands.s1))
        memset(bands.s2, 0, sizeof(bands.s2))
    memset(bands.energy, 0, sizeof(bands.energy))
    bands.samples = 0
