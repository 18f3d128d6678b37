# cython: language_level=3, auto_pickle=False, cdivision=True
# cython: freethreading_compatible=True, subinterpreters_compatible=own_gil
"""Measures of int16 PCM and the meters built on them, without copying a sample.

Everything takes *samples*: a C-contiguous, one-dimensional buffer of native int16, channels
interleaved: ``array("h")``, ``memoryview(...).cast("h")``, a NumPy int16 array or a LiveKit
``AudioFrame.data``. Anything else is a TypeError that says what came instead.

Levels are RMS of samples scaled to -1..1 (0 to 1), or dBov: a full-scale square wave is 0 dBov and
a full-scale sine -3.01 (ITU-T G.100.1). Silence has the floor -127 dBov that RFC 6464 gives it.

Every call on a meter is atomic, with the GIL or in a free-threaded Python; calls from several
threads are taken in the order in which they come. Subinterpreters, with a GIL of their own or not,
have meters of their own: nothing here is shared but constants.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_FORMAT,
    PyBUF_ND,
    PyBuffer_Release,
    PyObject_CheckBuffer,
    PyObject_GetBuffer,
)
from libc.math cimport (
    INFINITY,
    M_PI,
    NAN,
    cos,
    fabs,
    floor,
    ilogb,
    isfinite,
    isnan,
    log2f,
    log10,
    sin,
    sqrt,
)
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef extern from *:
    """
    #if PY_BIG_ENDIAN
    #define PMON_BYTE_ORDER '>'
    #else
    #define PMON_BYTE_ORDER '<'
    #endif
    #define PMON_CLIP_LEVEL 32734
    #define PMON_CLIP_RUN 3
    #define PMON_SCALE (32768.0 * 32768.0)
    #define PMON_LEVELS_PER_OCTAVE 24.0824f /* steps of 1/8 dB in a factor of 2 */
    #define PMON_LEAST_POWER 3.1623e-8      /* -75 dBov: quieter is no room but a codec's silence */
    #define PMON_P56_RISE 0.079956   /* 1 - exp(-2.5 ms / 30 ms) */
    #define PMON_P56_LEAST (1.0 / 32768.0)
    #define PMON_P56_MARGIN 15.9     /* dB from the active level down to its threshold */
    #define PMON_DC_BLOCKS 100       /* 1 s */
    #define PMON_RAIL 29491          /* 0.9 of full scale */
    #define PMON_SILENT 0.214        /* -97 dBov, in steps of int16 squared */
    #define PMON_ENERGY_SCALE 68719476736.0  /* 2**36 */
    #define PMON_LEAST_DBOV (-75.0)
    #define PMON_MOST_DECLINE 30.0
    #define PMON_ON 0.4
    #define PMON_OFF 0.0
    """
    const char BYTE_ORDER "PMON_BYTE_ORDER"
    const int C_CLIP_LEVEL "PMON_CLIP_LEVEL"
    const int C_CLIP_RUN "PMON_CLIP_RUN"
    const double SCALE "PMON_SCALE"
    const float LEVELS_PER_OCTAVE "PMON_LEVELS_PER_OCTAVE"
    const double LEAST_POWER "PMON_LEAST_POWER"
    const double P56_RISE "PMON_P56_RISE"
    const double P56_LEAST "PMON_P56_LEAST"
    const double P56_MARGIN "PMON_P56_MARGIN"
    const int DC_BLOCKS "PMON_DC_BLOCKS"
    const int RAIL "PMON_RAIL"
    const double SILENT "PMON_SILENT"
    const double ENERGY_SCALE "PMON_ENERGY_SCALE"
    const double LEAST_DBOV "PMON_LEAST_DBOV"
    const double MOST_DECLINE "PMON_MOST_DECLINE"
    const double ON "PMON_ON"
    const double OFF "PMON_OFF"

cdef enum:
    MOST_SUMMED = 32768        # samples whose sum fits 32 bits
    UNKNOWN_LEVEL = 32767
    INT32_LEAST = -2147483647
    STANDS_OUT = 48            # 6 dB over the floor is no noise any more
    LEAST_EXCESS = 24          # 3 dB over the floor are hardly more than it ...
    MOST_EXCESS = 240          # ... and over 33 dB say no more
    LEAST_STRIKE = 80          # 10 dB
    LOOK_AHEAD_BLOCKS = 6
    ONSET_BLOCKS = 14          # so far back an onset may lie
    ONSET_GAP_BLOCKS = 3
    HANGOVER_BLOCKS = 8
    HELD_BLOCKS = 20
    STARTUP_BLOCKS = 50
    LEAST_MOVEMENT = 512       # 4 dB, of two blocks of eight bands
    EXPECTED_BLOCKS = 150      # 1.5 s, see speaking_expect
    TRUSTED_BLOCKS = 5         # 50 ms of what is expected are enough

SILENCE_DBOV = -127.0
CLIP_LEVEL = C_CLIP_LEVEL  # 0.999 of full scale
CLIP_RUN = C_CLIP_RUN  # so many samples at the rail in a row are clipping, fewer are a peak


# --- buffers


cdef inline int _acquire(object samples, Py_buffer *view) except -1:
    """Take the samples of an int16 buffer; the caller releases the view."""
    if not PyObject_CheckBuffer(samples):
        raise TypeError(f"samples must be an int16 buffer, not {type(samples).__name__}")
    try:
        PyObject_GetBuffer(samples, view, PyBUF_ND | PyBUF_FORMAT)
    except (BufferError, ValueError) as error:  # NumPy says ValueError
        raise TypeError(
            f"samples must be C-contiguous, not this {type(samples).__name__}: {error}"
        ) from None
    if view.itemsize == 2 and view.ndim == 1 and _is_int16(view.format):
        return 0
    try:
        layout = "bytes" if view.format == NULL else view.format.decode("ascii", "replace")
        raise TypeError(
            f"samples must be one-dimensional native int16 (format 'h'),"
            f" not {view.ndim}-dimensional of format {layout!r}"
        )
    finally:
        PyBuffer_Release(view)


cdef inline bint _is_int16(const char *layout) noexcept nogil:
    if layout == NULL:
        return False
    # ctypes names the byte order even where it is the machine's own.
    if layout[0] == BYTE_ORDER or layout[0] == c"@" or layout[0] == c"=":
        layout += 1
    return layout[0] == c"h" and layout[1] == 0


cdef inline int _check_whole(Py_ssize_t n, int num_channels) except -1:
    if num_channels > 1 and n % num_channels:
        raise ValueError(f"{n} samples are no whole frames of {num_channels} channels")
    return 0


cdef int _check_stream(int sample_rate, int num_channels) except -1:
    if not 8000 <= sample_rate <= 192000:
        raise ValueError(f"sample_rate must be 8000 to 192000 Hz, not {sample_rate}")
    if not 1 <= num_channels <= MAX_CHANNELS:
        raise ValueError(f"num_channels must be 1 to {MAX_CHANNELS}, not {num_channels}")
    return 0


# --- kernels


cdef inline int64_t _sum_of_squares(const int16_t *samples, Py_ssize_t n) noexcept nogil:
    # 2**33 squares fit an int64: exact for 12 hours at 192 kHz. Two of them fit a uint32 (an int32
    # they do not), so both halves are summed at once with half the widening to 64 bits.
    cdef uint64_t total = 0
    cdef Py_ssize_t i, half = n // 2
    cdef const int16_t *rest = samples + half
    for i in range(half):
        total += _square(samples[i]) + _square(rest[i])
    if n % 2:
        total += _square(samples[n - 1])
    return <int64_t>total


cdef inline uint32_t _square(int32_t sample) noexcept nogil:
    # Unsigned, since to widen it takes less work than to widen a signed number.
    return <uint32_t>(sample * sample)


cdef stats_t measure_samples(const int16_t *samples, Py_ssize_t n) noexcept nogil:
    """Sum, sum of squares and extremes."""
    cdef stats_t stats
    cdef int64_t total = 0
    cdef int32_t part
    cdef int16_t low = 32767, high = -32768
    cdef Py_ssize_t start = 0, end, i
    while start < n:
        end = min(n, start + MOST_SUMMED)  # in 32 bits it takes half the work
        part = 0
        for i in range(start, end):
            part += samples[i]
            low = samples[i] if samples[i] < low else low
            high = samples[i] if samples[i] > high else high
        total += part
        start = end
    stats.sum = total
    stats.sum_of_squares = _sum_of_squares(samples, n)
    stats.low = low if n else 0
    stats.high = high if n else 0
    return stats


cdef inline int32_t _peak(stats_t stats) noexcept nogil:
    return stats.high if stats.high > -stats.low else -stats.low


cdef inline double _dbov(double power) noexcept nogil:
    cdef double level = 10.0 * log10(power) if power > 0 else -127.0
    return level if level > -127.0 else -127.0


def sum_of_squares(samples) -> int:
    """Exact sum of the squared samples; 0 for no samples."""
    cdef Py_buffer view
    _acquire(samples, &view)
    try:
        return _sum_of_squares(<const int16_t *>view.buf, view.len // 2)
    finally:
        PyBuffer_Release(&view)


def rms(samples) -> float:
    """Root mean square of samples scaled to -1..1; 0.0 for no samples."""
    cdef Py_buffer view
    _acquire(samples, &view)
    cdef Py_ssize_t n = view.len // 2
    cdef int64_t total = _sum_of_squares(<const int16_t *>view.buf, n)
    PyBuffer_Release(&view)
    return sqrt(total / (n * SCALE)) if n else 0.0


def dbov(samples) -> float:
    """Level in dBov; -127.0 for digital silence and for no samples."""
    cdef Py_buffer view
    _acquire(samples, &view)
    cdef Py_ssize_t n = view.len // 2
    cdef int64_t total = _sum_of_squares(<const int16_t *>view.buf, n)
    PyBuffer_Release(&view)
    return _dbov(total / (n * SCALE)) if n else -127.0


def peak(samples) -> float:
    """Largest absolute sample, 0 to 1; 0.0 for no samples."""
    cdef Py_buffer view
    _acquire(samples, &view)
    cdef stats_t stats = measure_samples(<const int16_t *>view.buf, view.len // 2)
    PyBuffer_Release(&view)
    return _peak(stats) / 32768.0


def dc(samples) -> float:
    """Mean of samples scaled to -1..1; 0.0 for no samples."""
    cdef Py_buffer view
    _acquire(samples, &view)
    cdef Py_ssize_t n = view.len // 2
    cdef stats_t stats = measure_samples(<const int16_t *>view.buf, n)
    PyBuffer_Release(&view)
    return stats.sum / (n * 32768.0) if n else 0.0


def is_digital_silence(samples) -> bool:
    """Whether every sample is zero; true of no samples."""
    cdef Py_buffer view
    _acquire(samples, &view)
    cdef stats_t stats = measure_samples(<const int16_t *>view.buf, view.len // 2)
    PyBuffer_Release(&view)
    return stats.low == 0 and stats.high == 0


def zero_crossings(samples) -> int:
    """How often the sign changes, without the DC part and with a dead band of 3 steps (1e-4).

    Counts mono samples; interleaved channels have no meaning here. Unvoiced speech has many,
    hum has few.
    """
    cdef Py_buffer view
    _acquire(samples, &view)
    cdef Py_ssize_t n = view.len // 2
    cdef const int16_t *data = <const int16_t *>view.buf
    cdef stats_t stats = measure_samples(data, n)
    cdef double mean = <double>stats.sum / n if n else 0.0
    cdef double value
    cdef int sign = 0, crossings = 0
    cdef Py_ssize_t i
    for i in range(n):
        value = data[i] - mean
        if value > 3.3:
            crossings += sign < 0
            sign = 1
        elif value < -3.3:
            crossings += sign > 0
            sign = -1
    PyBuffer_Release(&view)
    return crossings


def clipped_runs(samples) -> tuple[int, int]:
    """How many runs of at least 3 samples at the rail there are, and how many samples in them.

    Counts mono samples. The rail is 0.999 of full scale: gain stages after the clipping one may
    have scaled it down a little.
    """
    cdef Py_buffer view
    _acquire(samples, &view)
    cdef const int16_t *data = <const int16_t *>view.buf
    cdef Py_ssize_t i
    cdef int64_t runs = 0, clipped = 0
    cdef int run = 0
    for i in range(view.len // 2):
        if -C_CLIP_LEVEL < data[i] < C_CLIP_LEVEL:
            run = 0
            continue
        run += 1
        if run == C_CLIP_RUN:
            runs += 1
            clipped += C_CLIP_RUN
        elif run > C_CLIP_RUN:
            clipped += 1
    PyBuffer_Release(&view)
    return runs, clipped


include "_level.pxi"
include "_bands.pxi"
include "_mic.pxi"
include "_speaking_blocks.pxi"
include "_speaking_score.pxi"
include "_speaking_bills.pxi"
include "_speaking_runs.pxi"
include "_speaking.pxi"
include "_frame_rate.pxi"
