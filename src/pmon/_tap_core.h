/* The tap without Python: LiveKit FFI events in; meters fed, media handles dropped, the rest queued.
 *
 * Any FFI thread calls tap_event at any time, several at once. The owner's one thread registers and
 * removes streams and takes what is queued. A sink is called with its bucket's mutex held, so once
 * tap_remove has returned nobody is inside it any more. No mutex is ever held while waiting for
 * anything else, the GIL included.
 */
#ifndef PMON_TAP_CORE_H
#define PMON_TAP_CORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TAP_BUCKETS 1024
#define TAP_MAX_FRAMES 19200  /* samples per channel of one frame: 100 ms at the highest rate */

/* --- what the messages are made of: field numbers, read from the SDK's own descriptors */

typedef struct {
    uint32_t event_audio, event_video, event_room;       /* of FfiEvent */
    uint32_t stream_handle, frame, eos;                   /* of AudioStreamEvent, VideoStreamEvent */
    uint32_t video_stream_handle, video_frame, video_eos;
    uint32_t frame_buffer, video_buffer;                  /* of AudioFrameReceived, VideoFrameReceived */
    uint32_t buffer_handle, buffer_info, video_handle;    /* of the owned buffers */
    uint32_t handle_id;                                   /* of FfiOwnedHandle */
    uint32_t data_ptr, num_channels, sample_rate, samples_per_channel; /* of AudioFrameBufferInfo */
} tap_fields_t;

typedef enum { TAP_OTHER, TAP_AUDIO, TAP_VIDEO, TAP_EOS, TAP_BROKEN } tap_kind_t;

typedef struct {
    tap_kind_t kind;
    uint64_t stream, handle, data;
    uint32_t num_channels, sample_rate, samples_per_channel;
} tap_message_t;

/* --- protobuf's wire format, never read beyond its end */

typedef struct {
    const uint8_t *at, *end;
} tap_slice_t;

typedef struct {
    uint32_t number, wire;
    uint64_t value;      /* of a varint or a fixed one */
    tap_slice_t content; /* of a length-delimited one */
} tap_field_t;

static inline bool tap_varint(tap_slice_t *in, uint64_t *value)
{
    uint64_t found = 0;
    for (int shift = 0; shift < 64 && in->at < in->end; shift += 7) {
        uint8_t byte = *in->at++;
        found |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = found;
            return true;
        }
    }
    return false;
}

static inline bool tap_fixed(tap_slice_t *in, size_t size, uint64_t *value)
{
    if ((size_t)(in->end - in->at) < size)
        return false;
    *value = 0;
    for (size_t i = 0; i < size; i++)
        *value |= (uint64_t)in->at[i] << (8 * i);
    in->at += size;
    return true;
}

/* The next field; false at the end and where the bytes make no sense (then at != end). */
static inline bool tap_next(tap_slice_t *in, tap_field_t *field)
{
    uint64_t tag, length;
    if (in->at == in->end)
        return false;
    const uint8_t *start = in->at;
    if (tap_varint(in, &tag) && tag >> 3 != 0 && tag >> 3 < 1u << 29) {
        field->number = (uint32_t)(tag >> 3);
        field->wire = (uint32_t)(tag & 7);
        switch (field->wire) {
        case 0:
            if (tap_varint(in, &field->value))
                return true;
            break;
        case 1:
            if (tap_fixed(in, 8, &field->value))
                return true;
            break;
        case 2:
            if (tap_varint(in, &length) && length <= (size_t)(in->end - in->at)) {
                field->content.at = in->at;
                field->content.end = in->at += length;
                return true;
            }
            break;
        case 5:
            if (tap_fixed(in, 4, &field->value))
                return true;
            break;
        }
    }
    in->at = start;
    return false;
}

/* Walk all fields of `in`; `field` is one, and the rest of the loop's body sees it. */
#define TAP_EACH(in, field) while (tap_next(&(in), &(field)))

static bool tap_owned(tap_slice_t in, uint32_t handle_id, uint64_t *handle)
{
    tap_field_t field;
    TAP_EACH(in, field)
        if (field.number == handle_id && field.wire == 0)
            *handle = field.value;
    return in.at == in.end;
}

static bool tap_audio_info(tap_slice_t in, const tap_fields_t *f, tap_message_t *out)
{
    tap_field_t field;
    TAP_EACH(in, field) {
        if (field.number == f->data_ptr && field.wire == 0)
            out->data = field.value;
        else if (field.number == f->num_channels && field.wire == 0)
            out->num_channels = (uint32_t)field.value;
        else if (field.number == f->sample_rate && field.wire == 0)
            out->sample_rate = (uint32_t)field.value;
        else if (field.number == f->samples_per_channel && field.wire == 0)
            out->samples_per_channel = (uint32_t)field.value;
    }
    return in.at == in.end;
}

/* The buffer inside a received frame: its handle and, of audio, where the samples are. */
static bool tap_buffer(tap_slice_t in, const tap_fields_t *f, bool audio, tap_message_t *out)
{
    uint32_t handle = audio ? f->buffer_handle : f->video_handle;
    tap_field_t field;
    TAP_EACH(in, field) {
        if (field.wire != 2)
            continue;
        if (field.number == handle && !tap_owned(field.content, f->handle_id, &out->handle))
            return false;
        if (audio && field.number == f->buffer_info && !tap_audio_info(field.content, f, out))
            return false;
    }
    return in.at == in.end;
}

static bool tap_received(tap_slice_t in, const tap_fields_t *f, bool audio, tap_message_t *out)
{
    uint32_t buffer = audio ? f->frame_buffer : f->video_buffer;
    tap_field_t field;
    TAP_EACH(in, field)
        if (field.number == buffer && field.wire == 2 && !tap_buffer(field.content, f, audio, out))
            return false;
    return in.at == in.end;
}

static void tap_stream(tap_slice_t in, const tap_fields_t *f, bool audio, tap_message_t *out)
{
    uint32_t stream = audio ? f->stream_handle : f->video_stream_handle;
    uint32_t frame = audio ? f->frame : f->video_frame;
    uint32_t eos = audio ? f->eos : f->video_eos;
    tap_field_t field;
    bool sound = true;
    out->kind = TAP_BROKEN;
    TAP_EACH(in, field) {
        if (field.number == stream && field.wire == 0)
            out->stream = field.value;
        else if (field.number == frame && field.wire == 2) {
            sound = sound && tap_received(field.content, f, audio, out);
            out->kind = audio ? TAP_AUDIO : TAP_VIDEO;
        } else if (field.number == eos && field.wire == 2)
            out->kind = TAP_EOS;
    }
    if (!sound || in.at != in.end)
        out->kind = TAP_BROKEN;
}

/* What one FFI event is. Media is told by its outer field, so a broken one is never queued. */
static tap_message_t tap_parse(const uint8_t *data, size_t size, const tap_fields_t *f)
{
    tap_message_t out = {.kind = TAP_OTHER};
    tap_slice_t in = {data, data + size};
    tap_field_t field;
    TAP_EACH(in, field) {
        if (field.wire != 2)
            continue;
        if (field.number == f->event_audio || field.number == f->event_video)
            tap_stream(field.content, f, field.number == f->event_audio, &out);
    }
    return out;
}

/* --- what waits for the owner: a stack that many push to and one empties */

typedef struct tap_node {
    struct tap_node *next;
    void *stream;      /* whose sink has news, or NULL for a message */
    size_t size;
    uint8_t data[];
} tap_node_t;

/* A stream that is listened to. Its owner keeps it until tap_remove has returned and it is not
 * queued; `sink` takes audio (samples) or a video frame (none) and returns whether it has news. */
typedef struct tap_stream {
    struct tap_stream *next;
    uint64_t handle;
    int (*sink)(void *user, const int16_t *samples, size_t count, double now);
    void *user;
    uint32_t num_channels, sample_rate; /* what frames must be like; 0 for video */
    atomic_bool queued;
    atomic_bool removed;
    tap_node_t node;
} tap_stream_t;

typedef struct {
    pthread_mutex_t mutex;
    tap_stream_t *first;
} tap_bucket_t;

typedef bool (*tap_drop_t)(uint64_t handle);

typedef struct {
    tap_fields_t fields;
    tap_drop_t drop_handle;
    tap_bucket_t buckets[TAP_BUCKETS];
    _Atomic(tap_node_t *) waiting;
    atomic_bool awake;
    atomic_bool closed;
    int wake_fd;
    atomic_uint_fast64_t frames, unknown, broken, lost;
} tap_t;

static double tap_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void tap_init(tap_t *tap, tap_drop_t drop_handle, int wake_fd)
{
    memset(tap, 0, sizeof *tap);
    tap->drop_handle = drop_handle;
    tap->wake_fd = wake_fd;
    for (int i = 0; i < TAP_BUCKETS; i++)
        pthread_mutex_init(&tap->buckets[i].mutex, NULL);
}

/* Handles count up, so neighbours go to different buckets. */
static inline tap_bucket_t *tap_bucket(tap_t *tap, uint64_t handle)
{
    return &tap->buckets[handle % TAP_BUCKETS];
}

static void tap_push(tap_t *tap, tap_node_t *node)
{
    tap_node_t *head = atomic_load_explicit(&tap->waiting, memory_order_relaxed);
    do
        node->next = head;
    while (!atomic_compare_exchange_weak(&tap->waiting, &head, node));
    if (!atomic_exchange(&tap->awake, true)) {
        uint64_t one = 1;
        /* A full pipe has woken the owner already. */
        if (write(tap->wake_fd, &one, sizeof one) < 0)
            return;
    }
}

/* All that waits, oldest first. To be called by the owner after the descriptor became readable. */
static tap_node_t *tap_take(tap_t *tap)
{
    atomic_store(&tap->awake, false);
    tap_node_t *stack = atomic_exchange(&tap->waiting, NULL), *list = NULL;
    while (stack != NULL) {
        tap_node_t *next = stack->next;
        stack->next = list;
        list = stack;
        stack = next;
    }
    return list;
}

static void tap_queue_message(tap_t *tap, const uint8_t *data, size_t size)
{
    tap_node_t *node = malloc(sizeof *node + size);
    if (node == NULL) {
        atomic_fetch_add(&tap->lost, 1);
        return;
    }
    node->stream = NULL;
    node->size = size;
    memcpy(node->data, data, size);
    tap_push(tap, node);
}

/* --- streams */

static void tap_add(tap_t *tap, tap_stream_t *stream)
{
    tap_bucket_t *bucket = tap_bucket(tap, stream->handle);
    stream->node.stream = stream;
    pthread_mutex_lock(&bucket->mutex);
    stream->next = bucket->first;
    bucket->first = stream;
    pthread_mutex_unlock(&bucket->mutex);
}

/* After this nobody is inside the sink, and nobody will be. */
static void tap_remove(tap_t *tap, tap_stream_t *stream)
{
    tap_bucket_t *bucket = tap_bucket(tap, stream->handle);
    pthread_mutex_lock(&bucket->mutex);
    for (tap_stream_t **at = &bucket->first; *at != NULL; at = &(*at)->next)
        if (*at == stream) {
            *at = stream->next;
            break;
        }
    pthread_mutex_unlock(&bucket->mutex);
    atomic_store(&stream->removed, true);
}

static inline bool tap_fits(const tap_stream_t *stream, const tap_message_t *message)
{
    if (message->kind == TAP_VIDEO)
        return stream->num_channels == 0;
    return message->num_channels == stream->num_channels && message->data != 0 &&
           message->sample_rate == stream->sample_rate &&
           message->samples_per_channel <= TAP_MAX_FRAMES && message->data % 2 == 0;
}

static void tap_feed(tap_t *tap, const tap_message_t *message)
{
    tap_bucket_t *bucket = tap_bucket(tap, message->stream);
    double now = tap_now();
    pthread_mutex_lock(&bucket->mutex);
    tap_stream_t *stream = bucket->first;
    while (stream != NULL && stream->handle != message->stream)
        stream = stream->next;
    if (stream == NULL)
        atomic_fetch_add(&tap->unknown, 1);
    else if (!tap_fits(stream, message))
        atomic_fetch_add(&tap->broken, 1);
    else {
        size_t count = (size_t)message->samples_per_channel * message->num_channels;
        int news = stream->sink(stream->user, (const int16_t *)(uintptr_t)message->data, count, now);
        atomic_fetch_add(&tap->frames, 1);
        if (news && !atomic_exchange(&stream->queued, true))
            tap_push(tap, &stream->node);
    }
    pthread_mutex_unlock(&bucket->mutex);
}

/* One event of the SDK, on whatever thread; the bytes are its own and gone when this returns. */
static void tap_event(tap_t *tap, const uint8_t *data, size_t size)
{
    if (atomic_load(&tap->closed))
        return;
    tap_message_t message = tap_parse(data, size, &tap->fields);
    switch (message.kind) {
    case TAP_OTHER:
        tap_queue_message(tap, data, size);
        return;
    case TAP_BROKEN:
        atomic_fetch_add(&tap->broken, 1);
        break;
    case TAP_AUDIO:
    case TAP_VIDEO:
        tap_feed(tap, &message);
        break;
    case TAP_EOS:
        break;
    }
    if (message.handle != 0 && tap->drop_handle != NULL)
        tap->drop_handle(message.handle);
}

#endif
