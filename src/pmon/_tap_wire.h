/* Media events in the SDK's wire format (protobuf), found without a copy and without Python.
 *
 * Nothing is read beyond the end that was given, and only what is beyond doubt counts as media: one
 * field that fills the whole event. Whatever is read here protobuf reads the same way; what this
 * refuses was at worst a strange way to say it. What describes a picture is skipped.
 */
#ifndef PMON_TAP_WIRE_H
#define PMON_TAP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Field numbers, which the SDK's own descriptors tell. */
typedef struct {
    uint32_t video_event, audio_event; /* of FfiEvent */
    uint32_t audio_stream, audio_frame, audio_end;
    uint32_t video_stream, video_frame, video_end;
    uint32_t audio_buffer, video_buffer; /* of the received frames */
    uint32_t audio_handle, audio_info, video_handle;
    uint32_t handle_id;
    uint32_t data, num_channels, sample_rate, samples;
} wire_numbers_t;

typedef enum { WIRE_OTHER, WIRE_AUDIO, WIRE_VIDEO, WIRE_END, WIRE_BROKEN } wire_kind_t;

typedef struct {
    wire_kind_t kind;
    uint64_t stream;  /* handle of the stream */
    uint64_t handle;  /* handle of the frame, 0 for none */
    uint64_t data;    /* address of int16 samples, interleaved */
    uint32_t num_channels, sample_rate;
    uint32_t samples; /* per channel */
} wire_event_t;

typedef struct {
    const uint8_t *at, *end;
} wire_span_t;

typedef struct {
    uint32_t number, type;
    uint64_t value;   /* of type WIRE_VARINT */
    wire_span_t body; /* of type WIRE_BYTES */
} wire_field_t;

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

static inline bool wire_varint(wire_span_t *in, uint64_t *value)
{
    uint64_t sum = 0;
    for (unsigned shift = 0; shift < 70 && in->at < in->end; shift += 7) {
        uint8_t byte = *in->at++;
        if (shift == 63 && byte > 1)
            return false; /* more than 64 bits */
        sum |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = sum;
            return true;
        }
    }
    return false;
}

static inline bool wire_skip(wire_span_t *in, uint64_t length, wire_span_t *body)
{
    if (length > (uint64_t)(in->end - in->at))
        return false;
    body->at = in->at;
    body->end = in->at += length;
    return true;
}

/* The next field of a message that is not at its end; false if there is none that makes sense. */
static inline bool wire_next(wire_span_t *in, wire_field_t *field)
{
    uint64_t tag, length;
    *field = (wire_field_t){0};
    if (!wire_varint(in, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
        return false;
    field->number = (uint32_t)(tag >> 3);
    field->type = (uint32_t)(tag & 7);
    switch (field->type) {
    case WIRE_VARINT:
        return wire_varint(in, &field->value);
    case WIRE_FIXED64:
        return wire_skip(in, 8, &field->body);
    case WIRE_FIXED32:
        return wire_skip(in, 4, &field->body);
    case WIRE_BYTES:
        return wire_varint(in, &length) && wire_skip(in, length, &field->body);
    default:
        return false; /* groups: no message of the SDK has any */
    }
}

static inline bool wire_is_number(const wire_field_t *field, uint32_t number)
{
    return field->number == number && field->type == WIRE_VARINT;
}

static inline bool wire_is_message(const wire_field_t *field, uint32_t number)
{
    return field->number == number && field->type == WIRE_BYTES;
}

static bool wire_owned_handle(wire_span_t in, const wire_numbers_t *numbers, wire_event_t *event)
{
    wire_field_t field;
    while (in.at < in.end) {
        if (!wire_next(&in, &field))
            return false;
        if (wire_is_number(&field, numbers->handle_id))
            event->handle = field.value;
    }
    return true;
}

static bool wire_audio_info(wire_span_t in, const wire_numbers_t *numbers, wire_event_t *event)
{
    wire_field_t field;
    while (in.at < in.end) {
        if (!wire_next(&in, &field))
            return false;
        if (wire_is_number(&field, numbers->data))
            event->data = field.value;
        else if (wire_is_number(&field, numbers->num_channels))
            event->num_channels = (uint32_t)field.value;
        else if (wire_is_number(&field, numbers->sample_rate))
            event->sample_rate = (uint32_t)field.value;
        else if (wire_is_number(&field, numbers->samples))
            event->samples = (uint32_t)field.value;
    }
    return true;
}

static bool wire_buffer(wire_span_t in, const wire_numbers_t *numbers, wire_event_t *event)
{
    bool audio = event->kind == WIRE_AUDIO;
    uint32_t handle = audio ? numbers->audio_handle : numbers->video_handle;
    wire_field_t field;
    while (in.at < in.end) {
        if (!wire_next(&in, &field))
            return false;
        if (wire_is_message(&field, handle) && !wire_owned_handle(field.body, numbers, event))
            return false;
        if (audio && wire_is_message(&field, numbers->audio_info) &&
            !wire_audio_info(field.body, numbers, event))
            return false;
    }
    return true;
}

static bool wire_frame(wire_span_t in, const wire_numbers_t *numbers, wire_event_t *event)
{
    uint32_t buffer = event->kind == WIRE_AUDIO ? numbers->audio_buffer : numbers->video_buffer;
    wire_field_t field;
    while (in.at < in.end) {
        if (!wire_next(&in, &field))
            return false;
        if (wire_is_message(&field, buffer) && !wire_buffer(field.body, numbers, event))
            return false;
    }
    return true;
}

/* A stream's event: one frame, or the end of the stream. */
static bool wire_stream(wire_span_t in, const wire_numbers_t *numbers, wire_event_t *event)
{
    bool audio = event->kind == WIRE_AUDIO, frame = false, end = false;
    wire_field_t field;
    while (in.at < in.end) {
        if (!wire_next(&in, &field))
            return false;
        if (wire_is_number(&field, audio ? numbers->audio_stream : numbers->video_stream)) {
            event->stream = field.value;
        } else if (wire_is_message(&field, audio ? numbers->audio_frame : numbers->video_frame)) {
            frame = true;
            if (!wire_frame(field.body, numbers, event))
                return false;
        } else if (wire_is_message(&field, audio ? numbers->audio_end : numbers->video_end)) {
            end = true;
        }
    }
    if (end && !frame)
        event->kind = WIRE_END;
    return frame != end;
}

/* What an event is. Media that cannot be read is WIRE_BROKEN, and nothing else in it counts. */
static inline wire_event_t wire_read(const uint8_t *data, size_t size,
                                     const wire_numbers_t *numbers)
{
    wire_event_t event = {.kind = WIRE_OTHER};
    wire_span_t in = {data, data + size};
    wire_field_t field;
    if (!wire_next(&in, &field) || in.at < in.end)
        return event; /* the SDK shall say what it thinks of it */
    if (wire_is_message(&field, numbers->audio_event))
        event.kind = WIRE_AUDIO;
    else if (wire_is_message(&field, numbers->video_event))
        event.kind = WIRE_VIDEO;
    else
        return event;
    if (!wire_stream(field.body, numbers, &event))
        return (wire_event_t){.kind = WIRE_BROKEN};
    return event;
}

#endif
