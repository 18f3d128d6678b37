"""Meter state as plain C structs, so that native code can embed and feed meters without Python.

A meter has one feeder at a time: the functions take no lock. They touch no Python object, so
they may run on any thread, with or without the GIL.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint64_t

cdef enum:
    MAX_CHANNELS = 8
    LOUDEST_BLOCKS = 10        # 100 ms: what the threshold judges
    FLOOR_WINDOWS = 9          # the floor is the least level of the last 1.6 to 1.8 s ...
    FLOOR_WINDOW_BLOCKS = 20   # ... in windows of 200 ms
    PEAK_WINDOWS = 15          # the peak is that of the last 2.8 to 3 s, in the same windows
    SMOOTH_BLOCKS = 10
    OPEN_BLOCKS = 5            # shorter peaks are clicks
    SHORT_BLOCKS = 18          # each of these three with two blocks after the one that is judged,
    LONG_BLOCKS = 43           # which an opening still has to come to: six blocks of looking ahead
    CONTRAST_BLOCKS = 23
    TOTAL_BLOCKS = 27
    RECENT_BLOCKS = 32
    C_BANDS = 8
    LANES = 9                  # the bands, and the whole
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


cdef struct bands_filter_t:
    int factor                          # so many samples are averaged into one
    int bands                           # so many are not too high for the rate
    float gain[C_BANDS]
    float a1[C_BANDS]
    float a2[C_BANDS]


cdef struct bands_t:
    float s1[C_BANDS]                   # what the filters remember
    float s2[C_BANDS]
    float energy[C_BANDS]               # of the open block
    int32_t group                       # sum of the samples that wait to be averaged
    int grouped
    int samples                         # filtered in the open block


cdef struct movement_t:
    int32_t sum[C_BANDS]                # of the levels in a window
    int32_t squares[C_BANDS]


cdef struct score_t:
    bint fresh                          # nothing is known yet of what goes before the next block
    int16_t levels[SMOOTH_BLOCKS][LANES]
    int32_t level_sum[LANES]
    int level_at
    int16_t windows[FLOOR_WINDOWS][LANES]
    int16_t floor[LANES]
    int window_blocks
    uint64_t loud                       # which of the last 64 blocks stood out, the newest first
    int16_t lows[OPEN_BLOCKS][C_BANDS]
    int low_at
    int16_t opened[LONG_BLOCKS][C_BANDS]
    int opened_at
    movement_t short_term
    movement_t long_term
    int32_t contrasts[CONTRAST_BLOCKS]
    int32_t contrast_sum
    int contrast_at
    int16_t means[RECENT_BLOCKS]        # of the bands' levels, times the number of bands
    int mean_at
    int32_t strikes[CONTRAST_BLOCKS]
    int32_t strike_sum
    int16_t totals[TOTAL_BLOCKS]
    int32_t total_sum
    int total_at
    int32_t peaks[PEAK_WINDOWS]


cdef struct bill_t:                     # what is billed and told by one threshold
    double threshold                    # RMS that the loudest 100 ms of a run must reach
    int64_t since                       # position from which on it counts
    bint accepted                       # the open run is speech by it
    bint over                           # it accepts no more
    double energy_before                # of the open run, before it counted
    int64_t blocks_before
    int64_t last_speech
    int64_t speech_samples              # of runs that are over
    double speech_energy
    int64_t speech_blocks
    transition_t transitions[MAX_TRANSITIONS]
    int first_transition
    int num_transitions
    bint skip_stop


cdef struct billed_t:                   # the same with the open run
    int64_t last_speech
    int64_t samples
    double power                        # the mean; 0 before there is any speech


cdef struct speaking_t:
    int num_channels
    int64_t block                       # samples per channel of 10 ms
    bands_filter_t filter
    int64_t filled                      # of the open block
    int64_t position                    # of the end of the last complete block
    int64_t sum[MAX_CHANNELS]           # of the open block
    int64_t sum_of_squares[MAX_CHANNELS]
    bands_t bands[MAX_CHANNELS]
    int zero_blocks                     # before the first that is not
    score_t score
    double recent[RECENT_BLOCKS]        # powers
    int recent_at
    # the run, from its onset on; it is speech by each bill that has accepted it
    bint in_run
    int64_t run_start
    int64_t run_end                     # of its last speech, so far
    int64_t run_blocks
    double run_energy
    int64_t pending_blocks              # since then
    double pending_energy
    double loudest
    int softest                         # of what counts as its movement ...
    int strongest                       # ... see _speaking_watch
    int expected_blocks                 # for so long it need not move, see speaking_expect
    int quiet_blocks
    bill_t *bills                       # whoever embeds this keeps them
    int num_bills


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
cdef double mic_level(const mic_t *meter) noexcept nogil
cdef double mic_floor(const mic_t *meter) noexcept nogil
cdef double mic_dc(const mic_t *meter) noexcept nogil

cdef void speaking_init(
    speaking_t *detector, int sample_rate, int num_channels, int64_t position
) noexcept nogil
cdef int speaking_feed(speaking_t *detector, const int16_t *samples, Py_ssize_t n) noexcept nogil
cdef void speaking_expect(speaking_t *detector) noexcept nogil
cdef void speaking_end_run(speaking_t *detector) noexcept nogil
cdef double speaking_floor_dbov(const speaking_t *detector) noexcept nogil

cdef void bill_init(bill_t *bill, const speaking_t *detector, double threshold) noexcept nogil
cdef void bill_close(bill_t *bill, const speaking_t *detector) noexcept nogil
cdef bint bill_take(bill_t *bill, transition_t *taken) noexcept nogil
cdef billed_t bill_total(const bill_t *bill, const speaking_t *detector) noexcept nogil

cdef void frame_rate_init(frame_rate_t *meter, double window_s, int capacity) noexcept nogil
cdef void frame_rate_add(frame_rate_t *meter, double now) noexcept nogil
cdef double frame_rate_fps(const frame_rate_t *meter, double now) noexcept nogil
