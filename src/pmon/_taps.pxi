# The tap: streams are added and removed, what waits is taken; see _tap_core.h.

cdef extern from "_tap_core.h" nogil:
    ctypedef struct atomic_t "atomic_bool":
        pass
    ctypedef struct number_t "atomic_uint":
        pass
    ctypedef struct descriptor_t "atomic_int":
        pass
    ctypedef struct counter_t "tap_count_t":
        pass
    ctypedef struct wire_numbers_t:
        uint32_t video_event, audio_event
        uint32_t audio_stream, audio_frame, audio_end
        uint32_t video_stream, video_frame, video_end
        uint32_t audio_buffer, video_buffer
        uint32_t audio_handle, audio_info, video_handle
        uint32_t handle_id
        uint32_t data, num_channels, sample_rate, samples
    ctypedef struct wire_event_t:
        int kind
        uint64_t stream, handle, data
        uint32_t num_channels, sample_rate, samples
    ctypedef struct queue_node_t:
        queue_node_t *next
        bint is_event
    ctypedef struct queue_event_t:
        size_t size
        uint8_t *data
    ctypedef struct queue_t:
        descriptor_t wake_fd
        counter_t lost
    ctypedef int (*sink_t)(void *user, const int16_t *samples, size_t count, double now) noexcept
    ctypedef struct tap_stream_t:
        uint64_t handle
        sink_t sink
        void *user
        uint32_t num_channels, sample_rate
        atomic_t queued, removed
    ctypedef bint (*drop_t "tap_drop_t")(uint64_t handle) noexcept
    ctypedef struct tap_t:
        wire_numbers_t numbers
        drop_t drop
        atomic_t closed
        number_t inside
        queue_t queue
        counter_t frames, unknown, broken, unfit, dropped
    atomic_t tap_forked
    double tap_now()
    void tap_init(tap_t *tap)
    void tap_add(tap_t *tap, tap_stream_t *stream)
    void tap_remove(tap_t *tap, tap_stream_t *stream)
    void tap_callback(tap_t *tap, const uint8_t *data, size_t size)
    bint tap_close(tap_t *tap)
    tap_stream_t *tap_news(queue_node_t *node)
    queue_node_t *queue_take(queue_t *queue)
    void queue_free_event(queue_t *queue, queue_event_t *event)
    wire_event_t wire_read(const uint8_t *data, size_t size, const wire_numbers_t *numbers)
    bint load "atomic_load"(atomic_t *flag)
    void store "atomic_store"(atomic_t *flag, bint value)
    void set_number "atomic_store"(number_t *number, unsigned int value)
    void set_descriptor "atomic_store"(descriptor_t *descriptor, int value)
    uint64_t count_of "atomic_load"(counter_t *counter)

cdef extern from "<pthread.h>" nogil:
    int pthread_atfork(void (*prepare)(), void (*parent)(), void (*child)() noexcept)

cdef tap_t _tap


cdef void _callback(const uint8_t *data, size_t size) noexcept nogil:
    tap_callback(&_tap, data, size)


cdef void _after_fork() noexcept nogil:
    store(&tap_forked, True)
    store(&_tap.closed, True)
    set_number(&_tap.inside, 0)


tap_init(&_tap)
if pthread_atfork(NULL, NULL, _after_fork):
    raise OSError("the tap could not be told of forks")


cdef int _audio_sink(
    void *user, const int16_t *samples, size_t count, double now
) noexcept nogil:
    return meters_feed(<meters_t *>user, samples, <Py_ssize_t>count, now)


cdef int _video_sink(
    void *user, const int16_t *samples, size_t count, double now
) noexcept nogil:
    frame_rate_add(<frame_rate_t *>user, now)
    return 0


cdef int _refuse_forked() except -1:
    if load(&tap_forked):
        raise RuntimeError("the tap does not work in a forked process")
    return 0


# Streams by the address that the C side knows; each stays alive until nothing points to it.
_streams = {}


cdef class Stream:
    """A media stream of the SDK that the tap listens to, from ``add`` until ``remove``."""

    cdef tap_stream_t stream
    cdef readonly object owner
    cdef Meters _meters
    cdef frame_rate_t _frames
    cdef bint _added

    def __cinit__(self, uint64_t handle, owner, Meters meters=None):
        """``owner`` is what ``take`` gives when there are transitions; without meters it is video.

        Video is counted in tests and benchmarks alone: the SDK copies each picture before the tap
        sees it, so that ``pmon.media.stats`` is the cheaper way to know how many there were.
        """
        if handle == 0:
            raise ValueError("a stream's handle is not 0")
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
        """Begin: frames of this handle that came before were dropped. Only the first call counts.
        """
        _refuse_forked()
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


def callback() -> int:
    """The address of what ``livekit_ffi_initialize`` gets; it drops everything until ``set_up``."""
    return <uintptr_t>&_callback


def set_up(dict numbers, uintptr_t drop_handle, int wake_fd) -> None:
    """Take events from now on.

    ``numbers`` are protobuf field numbers by their names in ``wire_numbers_t``, ``drop_handle`` is
    the address of ``livekit_ffi_drop_handle`` (0: handles are only counted), and ``wake_fd``, which
    must never be closed, becomes readable, or is written to, when something begins to wait.
    """
    _refuse_forked()
    close()
    _tap.numbers = numbers
    _tap.drop = <drop_t>drop_handle
    set_descriptor(&_tap.queue.wake_fd, wake_fd)
    store(&_tap.closed, False)


def read(const uint8_t[::1] data) -> tuple:
    """An event as the tap understands it: kind, stream, handle, data, channels, rate, samples."""
    cdef const uint8_t *start = &data[0] if data.shape[0] else NULL
    cdef wire_event_t found = wire_read(start, data.shape[0], &_tap.numbers)
    return (
        ("other", "audio", "video", "end", "broken")[found.kind],
        found.stream,
        found.handle,
        found.data,
        found.num_channels,
        found.sample_rate,
        found.samples,
    )


def event(const uint8_t[::1] data) -> None:
    """Bring an event as the SDK would; for tests and benchmarks."""
    cdef const uint8_t *start = &data[0] if data.shape[0] else NULL
    cdef size_t size = data.shape[0]
    with nogil:
        tap_callback(&_tap, start, size)


def take() -> tuple:
    """What waits, oldest first: (messages as bytes, owners of streams with transitions).

    Empty the wake descriptor before, or a wake is lost.
    """
    messages, owners = [], []
    if load(&tap_forked):
        return messages, owners
    cdef queue_node_t *node = queue_take(&_tap.queue)
    cdef queue_node_t *following
    cdef queue_event_t *message
    cdef tap_stream_t *news
    cdef Stream stream
    while node != NULL:
        following = node.next
        if node.is_event:
            message = <queue_event_t *>node
            messages.append(PyBytes_FromStringAndSize(<const char *>message.data, message.size))
            queue_free_event(&_tap.queue, message)
        else:
            news = tap_news(node)
            stream = _streams[<uintptr_t>news]
            if load(&news.removed):
                del _streams[<uintptr_t>news]
            else:
                owners.append(stream.owner)
        node = following
    return messages, owners


def close() -> bool:
    """Drop every event from now on: the loop, or the interpreter, is about to end.

    Returns whether every thread of the SDK has left the tap, which is a matter of microseconds.
    """
    cdef bint left
    with nogil:
        left = tap_close(&_tap)
    return left


def counts() -> dict:
    """What became of what came in.

    Frames fed, those of unknown streams and those in another format than asked for; broken media;
    handles let go of; events lost because the loop did not take them; streams that are listened to.
    """
    return {
        "frames": count_of(&_tap.frames),
        "unknown": count_of(&_tap.unknown),
        "unfit": count_of(&_tap.unfit),
        "broken": count_of(&_tap.broken),
        "dropped": count_of(&_tap.dropped),
        "lost": count_of(&_tap.queue.lost),
        "streams": len(_streams),
    }


def monotonic() -> float:
    """The clock of the tap; it is the one of ``time.monotonic``."""
    return tap_now()
