# The meters of a track as Python sees them.


cdef inline object _dbov(double power):
    """dBov of a power that is not negative, else None."""
    if power < 0:
        return None
    return max(-127.0, 10.0 * log10(power)) if power > 0 else -127.0


cdef list _transitions(const taken_t *taken, int count):
    return [(taken[i].threshold, bool(taken[i].speaking), taken[i].at) for i in range(count)]


cdef class Meters:
    """A microphone's level and health, and who speaks by each of up to 64 thresholds.

    ``sample_rate`` is 8000 to 192000 Hz, ``num_channels`` 1 to 8. Times are seconds of the
    monotonic clock; those of transitions are reckoned in samples from the least delay seen.
    A transition is (threshold, whether speech begins, when).
    """

    cdef meters_t meters

    def __cinit__(self, int sample_rate, int num_channels):
        if not 8000 <= sample_rate <= 192000:
            raise ValueError(f"sample_rate must be 8000 to 192000 Hz, not {sample_rate}")
        if not 1 <= num_channels <= MAX_CHANNELS:
            raise ValueError(f"num_channels must be 1 to {MAX_CHANNELS}, not {num_channels}")
        pthread_mutex_init(&self.meters.mutex, NULL)
        self.meters.sample_rate = sample_rate
        self.meters.num_channels = num_channels
        self.meters.heard_at = -INFINITY
        self.meters.dry = True
        self.meters.clock.late_since = -1.0
        mic_init(&self.meters.mic, sample_rate, num_channels)
        speaking_init(&self.meters.speaking, sample_rate, num_channels, 0)

    def __dealloc__(self):
        free(self.meters.bills)
        pthread_mutex_destroy(&self.meters.mutex)

    def listen(self, thresholds) -> list:
        """Look for speech over these thresholds and no others.

        Returns transitions, as ``take`` does, with the ends of what is no longer looked for.
        """
        wanted = sorted(set(thresholds))
        if len(wanted) > C_MOST_THRESHOLDS:
            raise ValueError(f"{len(wanted)} thresholds on one track; it takes {C_MOST_THRESHOLDS}")
        for threshold in wanted:
            if not 0.0 < threshold <= 1.0:
                raise ValueError(f"threshold must be above 0 and at most 1, not {threshold}")
        cdef double values[C_MOST_THRESHOLDS]
        cdef int i, n = len(wanted)
        cdef bint enough = True
        for i in range(n):
            values[i] = wanted[i]
        tap_lock(&self.meters.mutex)
        for i in range(self.meters.count):
            if not _is_among(self.meters.bills[i].threshold, values, n):
                bill_close(&self.meters.bills[i], &self.meters.speaking)
        tap_unlock(&self.meters.mutex)
        ended = self.take()
        tap_lock(&self.meters.mutex)
        _bill_no_more(&self.meters, values, n)
        for i in range(n):
            enough = enough and _bill_to(&self.meters, values[i])
        tap_unlock(&self.meters.mutex)
        if not enough:
            raise MemoryError
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
        tap_lock(&self.meters.mutex)
        if self.meters.count:
            speaking_expect(&self.meters.speaking)
        tap_unlock(&self.meters.mutex)

    def stop(self, double dry_since=INFINITY) -> list:
        """End speech at its last block: mute, dry. What is fed later begins anew in time.

        With ``dry_since`` only if something has come, but nothing since then. It is one step: what
        is fed meanwhile comes either before the end or after it.
        """
        cdef taken_t taken[MAX_TRANSITIONS]
        cdef int count = 0, full = MAX_TRANSITIONS
        tap_lock(&self.meters.mutex)
        cdef bint due = dry_since == INFINITY or (
            not self.meters.dry and self.meters.heard_at <= dry_since
        )
        if due:
            self.meters.dry = True
            speaking_end_run(&self.meters.speaking)
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
        heard_until = _time_of(&self.meters, self.meters.position)
        count = self.meters.count
        for i in range(count):
            _read(&self.meters, &self.meters.bills[i], &readings[i])
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
        heard_until = _time_of(&self.meters, self.meters.position)
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
        """The noise floor in dBov, -75 at the least; None without a threshold, and before any audio
        unless ``expect`` was called.
        """
        cdef double floor = NAN
        tap_lock(&self.meters.mutex)
        if self.meters.count:
            floor = speaking_floor_dbov(&self.meters.speaking)
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
