"""Meter state as plain C structs, so that native code can embed and feed meters without Python.

A meter has one feeder at a time: the functions take no lock. They touch no Python object, so
they may run on any thread, with or without the GIL.
"""

from libc.stdint cimport int16_t, int32_t, int64_t

cdef enum:
    MAX_CHANNELS = 8
    QUARTERS = 4               # of a block, 2.5 ms each: see _speaking_blocks.pxi
    LOUDEST_BLOCKS = 10        # 100 ms: what the threshold judges; an onset's way back at most
    FLOOR_WINDOWS = 9          # the floor is the least power of the last 1.6 to 1.8 s ...
    FLOOR_WINDOW_BLOCKS = 20   # ... in windows of 200 ms
    HANGOVER_BLOCKS = 25       # 250 ms of quiet end a run
    BACKGROUND_BLOCKS = 10     # the last of them tell how quiet it is behind it
    MAX_TRANSITIONS = 64
    MAX_FRAMES = 512
    P56_LEVELS = 16            # 15 thresholds of ITU-T P.56, and what is under them
    P56_HANGOVER = 80          # 0.2 s
    LOUDNESS_BLOCKS = 10       # 100 ms
    QUIETEST_WINDOWS = 10      # 5 s ...
    QUIETEST_BLOCKS = 50       # ... in windows of 0.5 s


cdef struct stats_t:
    int64_t sum
    int64_t sum_of_squares
    int32_t low
    int32_t high


cdef struct level_meter_t:
    int num_channels
    int64_t window                      # samples per channel of 100 ms
    int64_t filled
    int64_t position                    # samples per channel fed so far
    int64_t sum[MAX_CHANNELS]           # of the open window
    int64_t sum_of_squares
    int32_t peak
    double last_power                   # of the last complete window, scaled to -1..1
    double last_dc
    int32_t last_peak
    int64_t clipped_samples             # of the whole stream, all channels
    int64_t silent_samples              # per channel, in windows that were all zero
    int clip_run[MAX_CHANNELS]


cdef struct mic_t:
    int sample_rate
    int num_channels
    int64_t block                       # samples per channel of 10 ms
    int64_t skip                        # samples per channel that are still to be left out
    int64_t filled                      # of the open block
    int quarter                         # of it that is open, 2.5 ms
    int64_t sum[MAX_CHANNELS]           # of the open block
    int64_t sum_of_squares[MAX_CHANNELS]
    int32_t magnitude[MAX_CHANNELS]     # of the open quarter
    double dc[MAX_CHANNELS]             # smoothed over 1 s, in steps of int16
    int32_t offset[MAX_CHANNELS]        # the same, rounded
    double smoothed
    double envelope                     # smoothed twice: the one of P.56
    int64_t tick                        # quarters since the start or mic_resume
    int level                           # thresholds that are active
    int64_t last[P56_LEVELS]            # tick at which the envelope was over so many
    int64_t blocks_heard                # since the start or mic_resume
    int64_t blocks_sounding             # the same, without the silence before the first sound
    double recent_mean[MAX_CHANNELS][LOUDNESS_BLOCKS]
    double recent_square[MAX_CHANNELS][LOUDNESS_BLOCKS]
    double loudest                      # power of 100 ms since then; negative: there was none
    double quietest[QUIETEST_WINDOWS]
    # running totals
    int64_t blocks
    int64_t energy                      # power of the blocks, scaled to -1..1, in units of 2**-36
    int64_t ticks_at[P56_LEVELS]        # quarters in which so many thresholds were active
    int64_t rail_samples[MAX_CHANNELS]  # in the last decibel under full scale
    int64_t silent_blocks


cdef struct mic_totals_t:
    double heard_s
    double energy                       # mean square times seconds
    double active_s[P56_LEVELS - 1]     # over each threshold
    double rail_s
    double silent_s


cdef struct transition_t:
    bint speaking
    int64_t position


cdef struct modulation_t:
    double peak
    int peak_blocks                     # near it
    int soft_blocks                     # far below it


cdef struct speaking_t:
    int num_channels
    int64_t block                       # samples per channel of 10 ms
    double threshold                    # power that the loudest 100 ms must reach
    int64_t filled                      # of the open block
    int quarter                         # of it that is open
    int64_t position                    # of the end of the last complete block
    int64_t sum[MAX_CHANNELS]           # of the open quarter
    int64_t block_sum[MAX_CHANNELS]     # of the open block, quarters that are complete
    int64_t sum_of_squares[MAX_CHANNELS]
    double low_energy[MAX_CHANNELS]     # what lies in the quarters' means
    double power                        # of the last block
    double voice                        # of the last block, without what is low
    double previous
    double smoothed
    double slow
    double windows[FLOOR_WINDOWS]
    int window_blocks
    double floor
    double recent[LOUDEST_BLOCKS]
    int recent_at
    double recent_sum
    # the run, from its onset on; it is speech once it has been accepted
    bint in_run
    bint accepted
    int64_t stretch_start
    int stretch_blocks
    int loud_blocks
    int64_t run_start
    int64_t run_end                     # of its last speech, so far
    int64_t run_blocks
    double run_energy
    double loudest
    modulation_t coarse                 # of 20 ms
    modulation_t fine                   # of 10 ms
    int expected_blocks                 # for so long speech needs no proof, see speaking_expect
    int quiet_blocks
    double quiet_voice[HANGOVER_BLOCKS]  # of the quiet blocks since the last speech
    double quiet_power[HANGOVER_BLOCKS]
    # what is billed
    int64_t last_speech
    int64_t speech_samples              # of runs that are over
    double speech_energy
    int64_t speech_blocks
    # what is to be told
    transition_t transitions[MAX_TRANSITIONS]
    int first_transition
    int num_transitions
    bint skip_stop


cdef struct frame_rate_t:
    double window_s
    int capacity
    int first
    int count
    int64_t frames
    double times[MAX_FRAMES]


cdef stats_t measure_samples(const int16_t *samples, Py_ssize_t n) noexcept nogil

cdef void level_init(level_meter_t *meter, int sample_rate, int num_channels) noexcept nogil
cdef void level_feed(level_meter_t *meter, const int16_t *samples, Py_ssize_t n) noexcept nogil

cdef void mic_init(mic_t *meter, int sample_rate, int num_channels) noexcept nogil
cdef void mic_resume(mic_t *meter) noexcept nogil
cdef void mic_feed(mic_t *meter, const int16_t *samples, Py_ssize_t n) noexcept nogil
cdef mic_totals_t mic_totals(const mic_t *meter) noexcept nogil
cdef double mic_floor(const mic_t *meter) noexcept nogil
cdef double mic_dc(const mic_t *meter) noexcept nogil

cdef void speaking_init(
    speaking_t *detector, int sample_rate, int num_channels, double threshold
) noexcept nogil
cdef int speaking_feed(speaking_t *detector, const int16_t *samples, Py_ssize_t n) noexcept nogil
cdef void speaking_expect(speaking_t *detector) noexcept nogil
cdef void speaking_end_run(speaking_t *detector) noexcept nogil

cdef void frame_rate_init(frame_rate_t *meter, double window_s, int capacity) noexcept nogil
cdef void frame_rate_add(frame_rate_t *meter, double now) noexcept nogil
cdef double frame_rate_fps(const frame_rate_t *meter, double now) noexcept nogil
