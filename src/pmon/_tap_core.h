/* The tap without Python: LiveKit FFI events in; meters fed, media handles dropped, the rest queued.
 *
 * Any FFI thread calls tap_callback at any time, several at once. The owner's one thread registers
 * and removes streams and takes what is queued. A sink is called with its bucket's mutex held, so
 * once tap_remove has returned nobody is inside it any more. No mutex is ever held while waiting
 * for anything else, the GIL included.
 */
#ifndef PMON_TAP_CORE_H
#define PMON_TAP_CORE_H

#include <pthread.h>
#include <time.h>

#include "_tap_queue.h"
#include "_tap_wire.h"

#define TAP_BUCKETS 1024
#define TAP_MOST_SAMPLES 48000  /* per channel of one frame; the SDK's are 480 */
#define TAP_LEAST_ADDRESS 65536 /* no memory lies below: such a number is no address */

typedef bool (*tap_drop_t)(uint64_t handle);
typedef atomic_uint_fast64_t tap_count_t;

/* A stream that is listened to. Its owner keeps it until tap_remove has returned and it is not
 * queued; `sink` takes audio (samples) or a video frame (none) and returns whether it has news. */
typedef struct tap_stream {
    queue_node_t node; /* first, so that a node's address is the stream's */
    struct tap_stream *next;
    uint64_t handle;
    int (*sink)(void *user, const int16_t *samples, size_t count, double now);
    void *user;
    uint32_t num_channels, sample_rate; /* what frames must be like; 0 for video */
    atomic_bool queued;
    atomic_bool removed;
} tap_stream_t;

typedef struct {
    pthread_mutex_t mutex;
    tap_stream_t *first;
} tap_bucket_t;

typedef struct {
    wire_numbers_t numbers;
    tap_drop_t drop;     /* livekit_ffi_drop_handle; NULL where there is no SDK */
    atomic_bool closed;  /* events are nobody's business any more */
    atomic_uint inside;  /* threads */
    queue_t queue;
    tap_bucket_t buckets[TAP_BUCKETS];
    tap_count_t frames;  /* that were fed */
    tap_count_t unknown; /* frames of streams that are not here, not yet or no more */
    tap_count_t broken;  /* media that makes no sense */
    tap_count_t unfit;   /* frames in another format than asked for */
    tap_count_t dropped; /* handles */
} tap_t;

/* --- fork: the child has none of the threads, but mutexes that one of them may have held. It has
 * no SDK either, so all that is left to do there is to be let go of, and no mutex is touched. */

static atomic_bool tap_forked;

static inline void tap_lock(pthread_mutex_t *mutex)
{
    if (!atomic_load_explicit(&tap_forked, memory_order_relaxed))
        pthread_mutex_lock(mutex);
}

static inline void tap_unlock(pthread_mutex_t *mutex)
{
    if (!atomic_load_explicit(&tap_forked, memory_order_relaxed))
        pthread_mutex_unlock(mutex);
}

/* --- */

/* The clock of Python's time.monotonic, in seconds. */
static inline double tap_now(void)
{
    struct timespec now;
#ifdef __APPLE__
    clock_gettime(CLOCK_UPTIME_RAW, &now);
#else
    clock_gettime(CLOCK_MONOTONIC, &now);
#endif
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline void tap_count(tap_count_t *count)
{
    atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

static inline void tap_init(tap_t *tap)
{
    for (int i = 0; i < TAP_BUCKETS; i++)
        pthread_mutex_init(&tap->buckets[i].mutex, NULL);
    atomic_store(&tap->queue.wake_fd, -1);
    atomic_store(&tap->closed, true);
}

/* Handles count up, so neighbours go to different buckets. */
static inline tap_bucket_t *tap_bucket(tap_t *tap, uint64_t handle)
{
    return &tap->buckets[handle % TAP_BUCKETS];
}

static inline void tap_add(tap_t *tap, tap_stream_t *stream)
{
    tap_bucket_t *bucket = tap_bucket(tap, stream->handle);
    stream->node.is_event = false;
    tap_lock(&bucket->mutex);
    stream->next = bucket->first;
    bucket->first = stream;
    tap_unlock(&bucket->mutex);
}

/* After this nobody is inside the sink, and nobody will be. */
static inline void tap_remove(tap_t *tap, tap_stream_t *stream)
{
    tap_bucket_t *bucket = tap_bucket(tap, stream->handle);
    tap_lock(&bucket->mutex);
    for (tap_stream_t **at = &bucket->first; *at != NULL; at = &(*at)->next)
        if (*at == stream) {
            *at = stream->next;
            break;
        }
    tap_unlock(&bucket->mutex);
    atomic_store(&stream->removed, true);
}

static inline bool tap_fits(const tap_stream_t *stream, const wire_event_t *event)
{
    if (event->kind == WIRE_VIDEO)
        return stream->num_channels == 0;
    return stream->num_channels != 0 && event->num_channels == stream->num_channels &&
           event->sample_rate == stream->sample_rate && event->samples > 0 &&
           event->samples <= TAP_MOST_SAMPLES && event->data >= TAP_LEAST_ADDRESS &&
           event->data <= UINTPTR_MAX / 2 && event->data % sizeof(int16_t) == 0;
}

static inline void tap_feed(tap_t *tap, const wire_event_t *event)
{
    double now = tap_now(); /* before a mutex may delay it */
    tap_bucket_t *bucket = tap_bucket(tap, event->stream);
    tap_lock(&bucket->mutex);
    tap_stream_t *stream = bucket->first;
    while (stream != NULL && stream->handle != event->stream)
        stream = stream->next;
    if (stream == NULL)
        tap_count(&tap->unknown);
    else if (!tap_fits(stream, event))
        tap_count(&tap->unfit);
    else {
        const int16_t *samples = (const int16_t *)(uintptr_t)event->data;
        size_t count = (size_t)event->samples * event->num_channels;
        int news = stream->sink(stream->user, samples, count, now);
        tap_count(&tap->frames);
        if (news && !atomic_exchange(&stream->queued, true))
            queue_push(&tap->queue, &stream->node);
    }
    tap_unlock(&bucket->mutex);
}

static inline void tap_event(tap_t *tap, const uint8_t *data, size_t size)
{
    wire_event_t event = wire_read(data, size, &tap->numbers);
    switch (event.kind) {
    case WIRE_OTHER:
        queue_push_event(&tap->queue, data, size);
        return;
    case WIRE_BROKEN:
        /* Not even its handle is believed: another's would be let go of. */
        tap_count(&tap->broken);
        return;
    case WIRE_END:
        return; /* its owner closes it */
    case WIRE_AUDIO:
    case WIRE_VIDEO:
        tap_feed(tap, &event);
    }
    /* After the last look at the samples: they live as long as their handle. */
    if (event.handle == 0)
        return;
    tap_count(&tap->dropped);
    if (tap->drop != NULL)
        tap->drop(event.handle);
}

/* One event of the SDK, on whatever thread; the bytes are its own and gone when this returns. */
static inline void tap_callback(tap_t *tap, const uint8_t *data, size_t size)
{
    if (data == NULL || size == 0 || atomic_load(&tap->closed))
        return; /* not inside at all, or tap_close might wait for ever for busy threads */
    atomic_fetch_add(&tap->inside, 1);
    if (!atomic_load(&tap->closed)) /* still: it may have been closed in between */
        tap_event(tap, data, size);
    atomic_fetch_sub(&tap->inside, 1);
}

/* Drop every event from now on. When this returns nobody is inside any more, unless somebody has
 * been for a second: feeding takes microseconds. */
static inline bool tap_close(tap_t *tap)
{
    const struct timespec pause = {.tv_nsec = 100000};
    atomic_store(&tap->closed, true);
    for (int i = 0; i < 10000 && atomic_load(&tap->inside) != 0; i++)
        nanosleep(&pause, NULL);
    return atomic_load(&tap->inside) == 0;
}

/* The stream behind a node that is no event. News that come from here on queue it anew, so look at
 * its meters afterwards. */
static inline tap_stream_t *tap_news(queue_node_t *node)
{
    tap_stream_t *stream = (tap_stream_t *)node;
    atomic_store(&stream->queued, false);
    return stream;
}

#endif
