# What one audio track is measured with: a microphone's health, a speaking detector that bills each
# threshold, a clock.
#
# The feeder may be any thread, with or without the GIL; whoever reads holds the mutex for as long
# as it takes to copy a few numbers, and makes Python objects of them afterwards.

cdef extern from "_tap_core.h" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    int pthread_mutex_init(pthread_mutex_t *mutex, void *attributes)
    int pthread_mutex_destroy(pthread_mutex_t *mutex)
    void tap_lock(pthread_mutex_t *mutex)
    void tap_unlock(pthread_mutex_t *mutex)

cdef enum:
    C_MOST_THRESHOLDS = 64

MOST_THRESHOLDS = C_MOST_THRESHOLDS

cdef double LATE_S = 0.25      # so much later than the least delay seen is late ...
cdef double LATE_FOR_S = 1.0   # ... and for so long it is a stream that has lost samples


# --- when a sample was played


cdef struct clock_t:
    double zero                # the arrival time of position 0, as far as is known
    bint known
    bint paused
    double late_since          # negative: it is not late


cdef void clock_arrived(clock_t *clock, double position_s, double now) noexcept nogil:
    """Everything up to a position has arrived.

    Arrival times jitter, always to the late side, so the smallest delay seen is the true one. A
    stream that lost samples stays late, and is set anew after a while.
    """
    cdef double zero = now - position_s
    if not clock.known or clock.paused or zero <= clock.zero:
        clock.known = True
        clock.paused = False
        clock.zero = zero
        clock.late_since = -1.0
    elif zero - clock.zero < LATE_S:
        clock.late_since = -1.0
    elif clock.late_since < 0:
        clock.late_since = now
    elif now - clock.late_since >= LATE_FOR_S:
        clock.zero = zero
        clock.late_since = -1.0


cdef inline double clock_at(const clock_t *clock, double position_s) noexcept nogil:
    return clock.zero + position_s if clock.known else position_s


# --- the meters in C


cdef struct meters_t:
    pthread_mutex_t mutex
    int sample_rate
    int num_channels
    int64_t position           # samples per channel fed so far
    mic_t mic
    clock_t clock
    double heard_at
    bint dry
    speaking_t speaking
    bill_t *bills
    int count


cdef int meters_feed(
    meters_t *meters, const int16_t *samples, Py_ssize_t n, double now
) noexcept nogil:
    """Take samples that arrived at ``now``. Returns whether there are transitions to take."""
    cdef int news
    tap_lock(&meters.mutex)
    news = meters.dry          # the first frame is news, too
    if meters.dry:
        mic_resume(&meters.mic)
    meters.position += n // meters.num_channels
    mic_feed(&meters.mic, samples, n)
    if meters.count:
        news |= speaking_feed(&meters.speaking, samples, n) > 0
    meters.heard_at = now
    meters.dry = False
    clock_arrived(&meters.clock, <double>meters.position / meters.sample_rate, now)
    tap_unlock(&meters.mutex)
    return news


cdef struct taken_t:
    double threshold
    bint speaking
    double at


cdef inline double _time_of(const meters_t *meters, int64_t position) noexcept nogil:
    return clock_at(&meters.clock, <double>position / meters.sample_rate)


cdef int _take(meters_t *meters, taken_t *taken, int room) noexcept nogil:
    """Move transitions out of the bills, as many as there is room for. Mutex held."""
    cdef int i, count = 0
    cdef transition_t transition
    for i in range(meters.count):
        while count < room and bill_take(&meters.bills[i], &transition):
            taken[count].threshold = meters.bills[i].threshold
            taken[count].speaking = transition.speaking
            taken[count].at = _time_of(meters, transition.position)
            count += 1
    return count


cdef struct reading_t:
    double threshold
    double heard_s
    double speech_s
    double speech_until
    double speech_power


cdef void _read(const meters_t *meters, const bill_t *bill, reading_t *out) noexcept nogil:
    cdef billed_t billed = bill_total(bill, &meters.speaking)
    out.threshold = bill.threshold
    # The track may be older than those who listen with this threshold.
    out.heard_s = <double>(meters.position - bill.since) / meters.sample_rate
    out.speech_s = <double>billed.samples / meters.sample_rate
    out.speech_until = _time_of(meters, billed.last_speech)
    out.speech_power = billed.power


cdef int _bill_to(meters_t *meters, double threshold) noexcept nogil:
    """Bill this threshold from here on. Returns whether there is memory for it. Mutex held."""
    cdef int i
    cdef bill_t *bills
    for i in range(meters.count):
        if meters.bills[i].threshold == threshold:
            return True
    bills = <bill_t *>realloc(meters.bills, (meters.count + 1) * sizeof(bill_t))
    if bills == NULL:
        return False
    meters.bills = bills
    if meters.speaking.position + meters.speaking.filled != meters.position:
        # It was not fed while nobody wanted to know.
        speaking_init(
            &meters.speaking, meters.sample_rate, meters.num_channels, meters.position
        )
    bill_init(&bills[meters.count], &meters.speaking, threshold)
    meters.count += 1
    meters.speaking.bills = bills
    meters.speaking.num_bills = meters.count
    return True


cdef void _bill_no_more(meters_t *meters, const double *wanted, int n) noexcept nogil:
    """Remove the bills of other thresholds. Mutex held."""
    cdef int i, kept = 0
    for i in range(meters.count):
        if _is_among(meters.bills[i].threshold, wanted, n):
            meters.bills[kept] = meters.bills[i]
            kept += 1
    meters.count = meters.speaking.num_bills = kept


cdef inline bint _is_among(double threshold, const double *wanted, int n) noexcept nogil:
    cdef int i
    for i in range(n):
        if wanted[i] == threshold:
            return True
    return False
