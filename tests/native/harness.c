/* The tap's table, parser and queue under many threads, for ThreadSanitizer and the others.
 *
 * Feeders send frames of streams that come and go, broken messages and messages to pass on; one
 * owner adds and removes streams and takes what waits. At the end everything must add up.
 *
 *     cc -fsanitize=thread -g -O1 tests/native/harness.c -o harness -lpthread && ./harness 5
 */
#include "../../src/pmon/_tap_core.h"

#include <fcntl.h>
#include <stdio.h>

#define FEEDERS 4
#define STREAMS 64
#define SAMPLES 480

typedef struct {
    tap_stream_t tap;
    long fed;   /* by whoever holds the bucket's mutex */
    bool live;
} stream_t;

static tap_t tap;
static stream_t streams[STREAMS];
static int16_t samples[SAMPLES];
static atomic_long dropped, sent, queued_messages;
static atomic_bool over;

static int sink(void *user, const int16_t *data, size_t count, double now)
{
    stream_t *stream = user;
    long sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += data[i];
    if (sum != SAMPLES || now <= 0)
        abort();
    return ++stream->fed % 7 == 0;
}

static bool drop(uint64_t handle)
{
    if (handle != 12345)
        abort();
    atomic_fetch_add(&dropped, 1);
    return true;
}

static size_t put(uint8_t *to, uint32_t number, uint64_t value)
{
    size_t n = 0;
    for (uint64_t v = (uint64_t)number << 3;; v >>= 7) {
        to[n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        if (v <= 0x7f)
            break;
    }
    for (;; value >>= 7) {
        to[n++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        if (value <= 0x7f)
            break;
    }
    return n;
}

static size_t wrap(uint8_t *to, uint32_t number, const uint8_t *content, size_t size)
{
    size_t n = 0;
    to[n++] = (uint8_t)(number << 3 | 2);
    for (size_t v = size;; v >>= 7) {
        to[n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        if (v <= 0x7f)
            break;
    }
    memcpy(to + n, content, size);
    return n + size;
}

static size_t audio_event(uint8_t *out, uint64_t stream)
{
    uint8_t a[128], b[128], handle[16];
    size_t info = put(a, 1, (uint64_t)(uintptr_t)samples);
    info += put(a + info, 2, 1);
    info += put(a + info, 3, 48000);
    info += put(a + info, 4, SAMPLES);
    size_t owned = put(handle, 1, 12345);
    size_t n = wrap(b, 1, handle, owned);
    n += wrap(b + n, 2, a, info);           /* OwnedAudioFrameBuffer */
    n = wrap(a, 1, b, n);                    /* AudioFrameReceived */
    size_t m = put(b, 1, stream);
    m += wrap(b + m, 2, a, n);               /* AudioStreamEvent */
    return wrap(out, 4, b, m);
}

static void *feed(void *seed)
{
    unsigned state = *(unsigned *)seed;
    uint8_t message[256];
    while (!atomic_load(&over)) {
        state = state * 1664525u + 1013904223u;
        size_t n = audio_event(message, 100 + (state >> 8) % (2 * STREAMS));
        switch (state >> 28) {
        case 0:
            n = wrap(message, 9, (const uint8_t *)"room event", 10);
            atomic_fetch_add(&queued_messages, 1);
            break;
        case 1: {
            size_t cut = 1 + (state >> 8) % (n - 1);
            /* Cut at the outermost length it is no media any more, and passed on. */
            uint8_t *exact = malloc(cut);    /* so that a read beyond the end is seen */
            memcpy(exact, message, cut);
            tap_event(&tap, exact, cut);
            free(exact);
            atomic_fetch_add(&queued_messages, 1);
            continue;
        }
        default:
            atomic_fetch_add(&sent, 1);
        }
        tap_event(&tap, message, n);
    }
    return NULL;
}

static long take(void)
{
    long messages = 0;
    for (tap_node_t *node = tap_take(&tap), *next; node != NULL; node = next) {
        next = node->next;
        if (node->stream == NULL) {
            messages++;
            free(node);
        } else
            atomic_store(&((tap_stream_t *)node->stream)->queued, false);
    }
    return messages;
}

int main(int argc, char **argv)
{
    double until = tap_now() + (argc > 1 ? atof(argv[1]) : 2.0);
    pthread_t threads[FEEDERS];
    unsigned seeds[FEEDERS], state = 1;
    int ends[2];
    long messages = 0;
    if (pipe(ends) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
        return 2;
    for (int i = 0; i < SAMPLES; i++)
        samples[i] = 1;
    tap_init(&tap, drop, ends[1]);
    tap.fields = (tap_fields_t){
        .event_audio = 4, .event_video = 3, .event_room = 1, .stream_handle = 1, .frame = 2,
        .eos = 3, .video_stream_handle = 1, .video_frame = 2, .video_eos = 3, .frame_buffer = 1,
        .video_buffer = 1, .buffer_handle = 1, .buffer_info = 2, .video_handle = 1, .handle_id = 1,
        .data_ptr = 1, .num_channels = 2, .sample_rate = 3, .samples_per_channel = 4};
    for (int i = 0; i < FEEDERS; i++) {
        seeds[i] = (unsigned)i * 77u + 1;
        pthread_create(&threads[i], NULL, feed, &seeds[i]);
    }
    while (tap_now() < until) {
        uint64_t drained;
        stream_t *stream = &streams[(state = state * 1664525u + 1013904223u) >> 8 & (STREAMS - 1)];
        if (!stream->live && !atomic_load(&stream->tap.queued)) {
            memset(stream, 0, sizeof *stream);
            stream->tap.handle = 100 + (uint64_t)(stream - streams);
            stream->tap.sink = sink;
            stream->tap.user = stream;
            stream->tap.num_channels = 1;
            stream->tap.sample_rate = 48000;
            tap_add(&tap, &stream->tap);
            stream->live = true;
        } else if (stream->live) {
            tap_remove(&tap, &stream->tap);
            stream->live = false;
        }
        if (state >> 28 == 0 && read(ends[0], &drained, sizeof drained) == sizeof drained)
            messages += take();
    }
    atomic_store(&over, true);
    for (int i = 0; i < FEEDERS; i++)
        pthread_join(threads[i], NULL);
    messages += take();
    printf("%ld frames sent, %lu fed, %lu unknown, %ld handles dropped, %ld messages\n",
           atomic_load(&sent), (unsigned long)atomic_load(&tap.frames),
           (unsigned long)atomic_load(&tap.unknown), atomic_load(&dropped), messages);
    bool sound = atomic_load(&tap.frames) > 0 && messages == atomic_load(&queued_messages) &&
                 atomic_load(&dropped) == atomic_load(&sent) &&
                 atomic_load(&tap.frames) + atomic_load(&tap.unknown) ==
                     (unsigned long)atomic_load(&sent);
    return sound ? 0 : 1;
}
