# The tap: streams are added and removed, what waits is taken; see _tap_core.h.

cdef extern from "_tap_core.h" nogil:
    ctypedef struct tap_fields_t:
        uint32_t event_audio, event_video, event_room
        uint32_t stream_handle, frame, eos
        uint32_t video_stream_handle, video_frame, video_eos
        uint32_t frame_buffer, video_buffer
        uint32_t buffer_handle, buffer_info, video_handle
        uint32_t handle_id
        uint32_t data_ptr, num_channels, sample_rate, samples_per_channel
    ctypedef struct tap_node_t:
        tap_node_t *next
        void *stream
        size_t size
        uint8_t *data
    ctypedef int (*sink_t)(void *user, const int16_t *samples, size_t count, double now) noexcept
    ctypedef struct atomic_t "atomic_bool":
        pass
    ctypedef struct counter_t "atomic_uint_fast64_t":
        pass
    ctypedef struct tap_stream_t:
        uint64_t handle
        sink_t sink
        void *user
        uint32_t num_channels, sample_rate
        atomic_t queued, removed
    ctypedef bint (*drop_t "tap_drop_t")(uint64_t handle) noexcept
    ctypedef struct tap_t:
        tap_fields_t fields
        atomic_t closed
        counter_t frames, unknown, broken, lost
    double tap_now()
    void tap_init(tap_t *tap, drop_t drop_handle, int wake_fd)
    tap_node_t *tap_take(tap_t *tap)
    void tap_add(tap_t *tap, tap_stream_t *stream)
    void tap_remove(tap_t *tap, tap_stream_t *stream)
    void tap_event(tap_t *tap, const uint8_t *data, size_t size)
    bint load "atomic_load"(atomic_t *flag)
    void store "atomic_store"(atomic_t *flag, bint value)
    uint64_t count_of "atomic_load"(counter_t *counter)

cdef tap_t _tap
cdef bint _ready = False


cdef void _callback(const uint8_t *data, size_t size) noexcept nogil:
    tap_event(&_tap, data, size)


cdef int _audio_sink(
    void *user, const int16_t *samples, size_t count, double now
) noexcept nogil:
    return meters_feed(<meters_t *>user, samples, <Py_ssize_t>count, now)


cdef int _video_sink(
    void *user, const int16_t *samples, size_t count, double now
) noexcept nogil:
    frame_rate_add(<frame_rate_t *>user, now)
    return 0


cdef class Stream:
    """A media stream of the SDK that the tap listens to, from ``add`` until ``remove``."""

    cdef tap_stream_t stream
    cdef readonly object owner
    cdef Meters _meters
    cdef frame_rate_t _frames
    cdef bint _added

    def __cinit__(self, uint64_t handle, owner, Meters meters=None):
        """``owner`` is what ``take`` gives when there are transitions; without meters it is video.
        """
        self.stream.handle = handle
        self.owner = owner
        self._meters = meters
        if meters is None:
            frame_rate_init(&self._frames, 2.0, 128)
            self.stream.sink = _video_sink
            self.stream.user = &self._frames
        else:
            self.stream.sink = _audio_sink
            self.stream.user = &meters.meters
            self.stream.num_channels = meters.meters.num_channels
            self.stream.sample_rate = meters.meters.sample_rate

    def add(self) -> None:
        """Begin: frames of this handle that came before were dropped."""
        if not _ready:
            raise RuntimeError("the tap has not been set up")
        if not self._added:
            self._added = True
            _streams[<uintptr_t>&self.stream] = self
            tap_add(&_tap, &self.stream)

    def remove(self) -> None:
        """End: when this returns no thread feeds the meters any more, and none will."""
        if not self._added or load(&self.stream.removed):
            return
        tap_remove(&_tap, &self.stream)
        if not load(&self.stream.queued):
            del _streams[<uintptr_t>&self.stream]

    @property
    def frames(self) -> int:
        """Video frames so far."""
        return self._frames.frames


# Streams by the address that the C side knows; each stays alive until nothing points to it.
_streams = {}


def set_up(dict fields, uintptr_t drop_handle, int wake_fd) -> int:
    """Make the tap ready. Returns the address of the callback for ``livekit_ffi_initialize``.

    ``fields`` are protobuf field numbers by the names of ``tap_fields_t``, ``drop_handle`` is the
    address of ``livekit_ffi_drop_handle`` (0: handles are not dropped), and ``wake_fd`` becomes
    readable, or is written to, when something waits. Only the first call counts.
    """
    global _ready
    if _ready:
        raise RuntimeError("the tap has been set up already")
    tap_init(&_tap, <drop_t>drop_handle, wake_fd)
    _tap.fields = fields
    _ready = True
    return <uintptr_t>&_callback


def set_fields(dict fields) -> None:
    """Other field numbers; for tests, while no event can come."""
    _tap.fields = fields


def event(const uint8_t[::1] data) -> None:
    """An event as the SDK would bring it; for tests and benchmarks."""
    cdef const uint8_t *start = &data[0] if data.shape[0] else NULL
    cdef size_t size = data.shape[0]
    with nogil:
        tap_event(&_tap, start, size)


def take() -> tuple:
    """What waits, oldest first: (messages as bytes, owners of streams with transitions)."""
    messages, owners = [], []
    cdef tap_node_t *node = tap_take(&_tap)
    cdef tap_node_t *following
    cdef Stream stream
    while node != NULL:
        following = node.next
        if node.stream == NULL:
            messages.append(PyBytes_FromStringAndSize(<char *>&node.data[0], node.size))
            free(node)
        else:
            stream = _streams[<uintptr_t>node.stream]
            store(&stream.stream.queued, False)
            if load(&stream.stream.removed):
                del _streams[<uintptr_t>&stream.stream]
            else:
                owners.append(stream.owner)
        node = following
    return messages, owners


def close() -> None:
    """Drop every event from now on: the loop, or the interpreter, is about to end."""
    store(&_tap.closed, True)


def reopen() -> None:
    """Take events again, on another loop."""
    store(&_tap.closed, False)


def counts() -> dict:
    """Frames fed, of unknown streams, broken, and messages lost for want of memory."""
    return {
        "frames": count_of(&_tap.frames),
        "unknown": count_of(&_tap.unknown),
        "broken": count_of(&_tap.broken),
        "lost": count_of(&_tap.lost),
    }


def monotonic() -> float:
    """The clock of the tap; it is the one of ``time.monotonic``."""
    return tap_now()
