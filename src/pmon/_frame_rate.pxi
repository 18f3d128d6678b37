# The frame rate meter: a ring of arrival times.


cdef void frame_rate_init(frame_rate_t *meter, double window_s, int capacity) noexcept nogil:
    memset(meter, 0, sizeof(frame_rate_t))
    meter.window_s = window_s
    meter.capacity = capacity


cdef void frame_rate_add(frame_rate_t *meter, double now) noexcept nogil:
    meter.frames += 1
    if meter.count == meter.capacity:
        meter.first = (meter.first + 1) % meter.capacity
        meter.count -= 1
    meter.times[(meter.first + meter.count) % meter.capacity] = now
    meter.count += 1


cdef double frame_rate_fps(const frame_rate_t *meter, double now) noexcept nogil:
    """Intervals over the time they took; one that lasts longer than the mean counts already."""
    cdef int skipped = 0
    cdef double oldest = 0.0, newest, span, mean
    while skipped < meter.count:
        oldest = meter.times[(meter.first + skipped) % meter.capacity]
        if now - oldest <= meter.window_s:
            break
        skipped += 1
    if meter.count - skipped < 2:
        return 0.0
    newest = meter.times[(meter.first + meter.count - 1) % meter.capacity]
    span = newest - oldest
    if span <= 0.0:
        return 0.0
    mean = span / (meter.count - skipped - 1)
    if now - newest > mean:
        span = now - oldest
    return (meter.count - skipped - 1) / span


cdef class FrameRateMeter:
    """Frames a second over the last ``window_s`` seconds, (n - 1) / (t_n - t_1).

    A stream that stalls decays: once the wait for the next frame is longer than the mean interval
    it counts as an interval, and after ``window_s`` the rate is 0. ``capacity`` (2 to 512) bounds
    the memory; a stream of more frames in the window is measured over its newest ones.
    """

    cdef frame_rate_t meter

    def __cinit__(self, double window_s=2.0, int capacity=256):
        if not (isfinite(window_s) and window_s > 0.0):
            raise ValueError(f"window_s must be a positive number of seconds, not {window_s}")
        if not 2 <= capacity <= MAX_FRAMES:
            raise ValueError(f"capacity must be 2 to {MAX_FRAMES}, not {capacity}")
        frame_rate_init(&self.meter, window_s, capacity)

    @cython.critical_section
    def add(self, double timestamp_s) -> None:
        """A frame arrived at this time, in seconds of a clock that never goes back.

        ValueError if it did, or if the time is not finite.
        """
        if not isfinite(timestamp_s):
            raise ValueError(f"timestamp_s must be finite, not {timestamp_s}")
        if self.meter.count and timestamp_s < self._last():
            raise ValueError(f"timestamp_s went back from {self._last()} to {timestamp_s}")
        frame_rate_add(&self.meter, timestamp_s)

    @cython.critical_section
    def fps(self, double now) -> float:
        """The rate at ``now``, on the same clock; 0.0 with fewer than 2 frames in the window."""
        return frame_rate_fps(&self.meter, now)

    cdef inline double _last(self) noexcept:
        return self.meter.times[(self.meter.first + self.meter.count - 1) % self.meter.capacity]

    @property
    def frames(self) -> int:
        """Frames so far."""
        return self.meter.frames

    @property
    @cython.critical_section
    def last(self) -> float | None:
        """When the newest frame arrived; None before the first."""
        return self._last() if self.meter.count else None
