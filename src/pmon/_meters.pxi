# What one audio track is measured with: a microphone's health, a detector for each threshold, a
# clock.
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


cdef struct detector_t:
    double threshold
    int64_t offset             # the stream's position when this detector was new
    speaking_t speaking


cdef struct meters_t:
    pthread_mutex_t mutex
    int sample_rate
    int num_channels
    int64_t position           # samples per channel fed so far
    mic_t mic
    clock_t clock
    double heard_at
    bint dry
    detector_t *detectors
    int count


cdef int meters_feed(
    meters_t *meters, const int16_t *samples, Py_ssize_t n, double now
) noexcept nogil:
    """Take samples that arrived at ``now``. Returns whether there are transitions to take."""
    cdef int i, news
    tap_lock(&meters.mutex)
    news = meters.dry          # the first frame is news, too
    if meters.dry:
        mic_resume(&meters.mic)
    meters.position += n // meters.num_channels
    mic_feed(&meters.mic, samples, n)
    for i in range(meters.count):
        news |= speaking_feed(&meters.detectors[i].speaking, samples, n) > 0
    meters.heard_at = now
    meters.dry = False
    clock_arrived(&meters.clock, <double>meters.position / meters.sample_rate, now)
    tap_unlock(&meters.mutex)
    return news


cdef struct taken_t:
    double threshold
    bint speaking
    double at


cdef inline double _detector_at(
    const meters_t *meters, const detector_t *detector, int64_t position
) noexcept nogil:
    return clock_at(
        &meters.clock, <double>(detector.offset + position) / meters.sample_rate
    )


cdef int _take(meters_t *meters, taken_t *taken, int room) noexcept nogil:
    """Move transitions out of the detectors, as many as there is room for. Mutex held."""
    cdef int i, count = 0
    cdef speaking_t *speaking
    cdef transition_t *transition
    for i in range(meters.count):
        speaking = &meters.detectors[i].speaking
        while speaking.num_transitions and count < room:
            transition = &speaking.transitions[speaking.first_transition]
            taken[count].threshold = meters.detectors[i].threshold
            taken[count].speaking = transition.speaking
            taken[count].at = _detector_at(meters, &meters.detectors[i], transition.position)
            speaking.first_transition = (speaking.first_transition + 1) % MAX_TRANSITIONS
            speaking.num_transitions -= 1
            count += 1
    return count


cdef struct reading_t:
    double threshold
    double heard_s
    double speech_s
    double speech_until
    double speech_power


cdef void _read(const meters_t *meters, const detector_t *detector, reading_t *out) noexcept nogil:
    cdef const speaking_t *speaking = &detector.speaking
    cdef int64_t samples = speaking.speech_samples, blocks = speaking.speech_blocks
    cdef double energy = speaking.speech_energy
    if speaking.in_run and speaking.accepted:
        samples += speaking.run_end - speaking.run_start
        energy += speaking.run_energy
        blocks += speaking.run_blocks
    out.threshold = detector.threshold
    # The track may be older than those who listen with this threshold.
    out.heard_s = <double>(meters.position - detector.offset) / meters.sample_rate
    out.speech_s = <double>samples / meters.sample_rate
    out.speech_until = _detector_at(meters, detector, speaking.last_speech)
    out.speech_power = energy / blocks if blocks else 0.0


cdef inline object _dbov(double power):
    """dBov of a power that is not negative, else None."""
    if power < 0:
        return None
    return max(-127.0, 10.0 * log10(power)) if power > 0 else -127.0


# --- the meters in Python


cdef list _transitions(const taken_t *taken, int count):
    return [(taken[i].threshold, bool(taken[i].speaking), taken[i].at) for i in range(count)]


cdef class Meters:
    """A microphone's level and health, and a speaking detector for each of up to 64 thresholds.

    ``sample_rate`` is 8000 to 192000 Hz, ``num_channels`` 1 to 8. Times are seconds of the
    monotonic clock; those of transitions are reckoned in samples from the least delay seen.
    A transition is (threshold, whether speech begins, when).
    """

    cdef meters_t meters

    def __cinit__(self, int sample_rate, int num_channels):
        if not 8000 <= sample_rate <= 192000:
            raise ValueError(f"sample_rate must be 8000 to 192000 Hz, not {sample_rate}")
        if not 1 <= num_channels <= 8:
            raise ValueError(f"num_channels must be 1 to 8, not {num_channels}")
        pthread_mutex_init(&self.meters.mutex, NULL)
        self.meters.sample_rate = sample_rate
        self.meters.num_channels = num_channels
        self.meters.heard_at = -INFINITY
        self.meters.dry = True
        self.meters.clock.late_since = -1.0
        mic_init(&self.meters.mic, sample_rate, num_channels)

    def __dealloc__(self):
        free(self.meters.detectors)
        pthread_mutex_destroy(&self.meters.mutex)

    def listen(self, thresholds) -> list:
        """Look for speech over these thresholds and no others. Returns transitions that end."""
        wanted = sorted(set(thresholds))
        if len(wanted) > C_MOST_THRESHOLDS:
            raise ValueError(f"{len(wanted)} thresholds on one track; it takes {C_MOST_THRESHOLDS}")
        cdef double threshold
        for threshold in wanted:
            if not 0.0 < threshold <= 1.0:
                raise ValueError(f"threshold must be above 0 and at most 1, not {threshold}")
        ended = self._drop_all_but(wanted)
        for threshold in wanted:
            self._add(threshold)
        return ended

    def feed(self, const int16_t[::1] samples, double now) -> list:
        """Take interleaved int16 samples that arrived at ``now``. Returns transitions."""
        if samples.shape[0] % self.meters.num_channels:
            raise ValueError(f"{samples.shape[0]} samples are no whole frames")
        if samples.shape[0] == 0:
            return []
        return self.take() if meters_feed(&self.meters, &samples[0], samples.shape[0], now) else []

    def take(self) -> list:
        """The transitions that no ``feed`` of Python's returned."""
        cdef taken_t taken[MAX_TRANSITIONS]
        cdef int count = MAX_TRANSITIONS
        found = []
        while count == MAX_TRANSITIONS:
            tap_lock(&self.meters.mutex)
            count = _take(&self.meters, taken, MAX_TRANSITIONS)
            tap_unlock(&self.meters.mutex)
            found += _transitions(taken, count)
        return found

    def expect(self) -> None:
        """Take what is loud enough for speech in the next 1.5 s of audio: others say it is."""
        cdef int i
        tap_lock(&self.meters.mutex)
        for i in range(self.meters.count):
            speaking_expect(&self.meters.detectors[i].speaking)
        tap_unlock(&self.meters.mutex)

    def stop(self, double dry_since=INFINITY) -> list:
        """End speech at its last block: mute, dry. What is fed later begins anew in time.

        With ``dry_since`` only if something has come, but nothing since then. It is one step: what
        is fed meanwhile comes either before the end or after it.
        """
        cdef taken_t taken[MAX_TRANSITIONS]
        cdef int i, count = 0, full = MAX_TRANSITIONS
        tap_lock(&self.meters.mutex)
        cdef bint due = dry_since == INFINITY or (
            not self.meters.dry and self.meters.heard_at <= dry_since
        )
        if due:
            self.meters.dry = True
            for i in range(self.meters.count):
                speaking_end_run(&self.meters.detectors[i].speaking)
            count = _take(&self.meters, taken, MAX_TRANSITIONS)
            self.meters.clock.paused = True
        tap_unlock(&self.meters.mutex)
        if not due:
            return []
        ended = _transitions(taken, count)
        return ended + self.take() if count == full else ended

    def readings(self) -> list:
        """(threshold, heard_s, heard_until, speech_s, speech_until, speech_power) of each.

        ``heard_s`` and what is of speech count from when its threshold was new.
        """
        cdef reading_t readings[C_MOST_THRESHOLDS]
        cdef double heard_until
        cdef int i, count
        tap_lock(&self.meters.mutex)
        heard_until = clock_at(
            &self.meters.clock, <double>self.meters.position / self.meters.sample_rate
        )
        count = self.meters.count
        for i in range(count):
            _read(&self.meters, &self.meters.detectors[i], &readings[i])
        tap_unlock(&self.meters.mutex)
        return [
            (readings[i].threshold, readings[i].heard_s, heard_until, readings[i].speech_s,
             readings[i].speech_until, readings[i].speech_power)
            for i in range(count)
        ]

    def microphone(self) -> tuple:
        """(heard_s, heard_until, energy, active_s, rail_s, silent_s, floor_dbov, loudest_dbov, dc)

        Totals, floor, loudest 100 ms and offset as ``MicMeter`` has them, which leaves out the
        first 200 ms after each ``stop``.
        """
        cdef mic_totals_t totals
        cdef double heard_until, floor, loudest, dc
        tap_lock(&self.meters.mutex)
        heard_until = clock_at(
            &self.meters.clock, <double>self.meters.position / self.meters.sample_rate
        )
        totals = mic_totals(&self.meters.mic)
        floor = mic_floor(&self.meters.mic)
        loudest = self.meters.mic.loudest
        dc = mic_dc(&self.meters.mic)
        tap_unlock(&self.meters.mutex)
        active_s = tuple([totals.active_s[i] for i in range(P56_LEVELS - 1)])
        return (
            totals.heard_s, heard_until, totals.energy, active_s, totals.rail_s, totals.silent_s,
            _dbov(floor), _dbov(loudest), dc,
        )

    @property
    def level_dbov(self) -> float | None:
        """Level of the last full 100 ms in dBov, without its offset, of the loudest channel.

        The first 200 ms after the start and after each ``stop`` are left out; None before more.
        """
        tap_lock(&self.meters.mutex)
        cdef double power = -1.0 if self.meters.dry else mic_level(&self.meters.mic)
        tap_unlock(&self.meters.mutex)
        return _dbov(power)

    @property
    def floor_dbov(self) -> float | None:
        """The noise floor in dBov, -75 at the least; None before any audio or without detector."""
        cdef double floor = NAN
        tap_lock(&self.meters.mutex)
        if self.meters.count:
            floor = speaking_floor_dbov(&self.meters.detectors[0].speaking)
        tap_unlock(&self.meters.mutex)
        return None if isnan(floor) else floor

    @property
    def loudest_dbov(self) -> float | None:
        """Loudest 100 ms since the first frame after the last ``stop``, in dBov.

        The first 200 ms are left out: a decoder that has just begun gives silence or fades in.
        None while there is nothing else.
        """
        tap_lock(&self.meters.mutex)
        cdef double power = -1.0 if self.meters.dry else self.meters.mic.loudest
        tap_unlock(&self.meters.mutex)
        return _dbov(power)

    @property
    def samples_per_channel(self) -> int:
        """Fed so far."""
        tap_lock(&self.meters.mutex)
        cdef int64_t position = self.meters.position
        tap_unlock(&self.meters.mutex)
        return position

    cdef list _drop_all_but(self, wanted):
        """End and remove the detectors of other thresholds. Returns their last transitions."""
        cdef int i, kept = 0
        unwanted = {self.meters.detectors[i].threshold for i in range(self.meters.count)}
        unwanted -= set(wanted)
        if not unwanted:
            return []
        cdef double gone[C_MOST_THRESHOLDS]
        cdef int n = 0, j
        for threshold in unwanted:
            gone[n] = threshold
            n += 1
        tap_lock(&self.meters.mutex)
        for i in range(self.meters.count):
            for j in range(n):
                if self.meters.detectors[i].threshold == gone[j]:
                    speaking_end_run(&self.meters.detectors[i].speaking)
        tap_unlock(&self.meters.mutex)
        ended = self.take()
        tap_lock(&self.meters.mutex)
        for i in range(self.meters.count):
            for j in range(n):
                if self.meters.detectors[i].threshold == gone[j]:
                    break
            else:
                if kept != i:
                    self.meters.detectors[kept] = self.meters.detectors[i]
                kept += 1
        self.meters.count = kept
        tap_unlock(&self.meters.mutex)
        return ended

    cdef int _add(self, double threshold) except -1:
        cdef int i
        for i in range(self.meters.count):
            if self.meters.detectors[i].threshold == threshold:
                return 0
        cdef detector_t *grown
        tap_lock(&self.meters.mutex)
        grown = <detector_t *>realloc(
            self.meters.detectors, (self.meters.count + 1) * sizeof(detector_t)
        )
        if grown != NULL:
            self.meters.detectors = grown
            grown += self.meters.count
            grown.threshold = threshold
            grown.offset = self.meters.position
            speaking_init(
                &grown.speaking, self.meters.sample_rate, self.meters.num_channels, threshold
            )
            self.meters.count += 1
        tap_unlock(&self.meters.mutex)
        if grown == NULL:
            raise MemoryError
        return 0
