/* The tap alone, under as many threads as the SDK has: no Python, so the thread sanitizer sees all.
 *
 * Producers bring frames and events, in part for streams that come and go, in part broken. The
 * owner adds and removes streams, reads what is fed, and takes what waits, at times too slowly for
 * the queue, which is made small for that. In the end the tap is closed under traffic, and all must
 * have gone where it belongs: usage is `harness SECONDS`, the exit code tells.
 */
#define QUEUE_MOST_EVENTS 16

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/types.h>

#include "_tap_core.h"

#define PRODUCERS 4
#define STREAMS 64
#define SAMPLES 480

/* Field numbers of our own: the tap takes any. */
static const wire_numbers_t NUMBERS = {
    .video_event = 3, .audio_event = 4, .audio_stream = 1, .audio_frame = 2, .audio_end = 3,
    .video_stream = 1, .video_frame = 2, .video_end = 3, .audio_buffer = 1, .video_buffer = 1,
    .audio_handle = 1, .audio_info = 2, .video_handle = 1, .handle_id = 1,
    .data = 1, .num_channels = 2, .sample_rate = 3, .samples = 4,
};

typedef struct {
    pthread_mutex_t mutex;
    uint64_t fed; /* samples */
    uint64_t frames;
    bool gone;
} meters_t;

/* A stream and what it feeds: neither is used again before nothing points to it. */
typedef struct {
    tap_stream_t stream; /* first, so that a stream's address is its owner's */
    meters_t meters;
} owned_t;

typedef struct {
    uint64_t random;
    uint64_t media, events, closing;
    uint64_t unowned; /* of the media, those without a handle to drop */
} producer_t;

static tap_t tap;
static int16_t tone[SAMPLES];
static _Atomic uint64_t first_stream = 1, dropped, late;
static atomic_bool closed, over;
static atomic_int closing; /* producers that have counted their last */

static bool drop(uint64_t handle)
{
    atomic_fetch_add(&dropped, 1);
    return handle != 0;
}

static int feed(void *fed, const int16_t *samples, size_t n, double now)
{
    meters_t *meters = fed;
    (void)now;
    if (atomic_load(&closed))
        atomic_fetch_add(&late, 1);
    tap_lock(&meters->mutex);
    if (meters->gone)
        abort();
    for (size_t i = 0; samples != NULL && i < n; i++)
        meters->fed += samples[i] == 1;
    bool news = ++meters->frames % 16 == 0; /* now and then */
    tap_unlock(&meters->mutex);
    return news;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t put_varint(uint8_t *out, uint64_t value)
{
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        out[n++] = (uint8_t)(value | 0x80);
    out[n++] = (uint8_t)value;
    return n;
}

static size_t put_number(uint8_t *out, uint32_t number, uint64_t value)
{
    size_t n = put_varint(out, (uint64_t)number << 3);
    return n + put_varint(out + n, value);
}

static size_t put_message(uint8_t *out, uint32_t number, const uint8_t *body, size_t size)
{
    size_t n = put_varint(out, (uint64_t)number << 3 | 2);
    n += put_varint(out + n, size);
    memcpy(out + n, body, size);
    return n + size;
}

static size_t frame_event(uint8_t *out, uint64_t stream, uint64_t handle, bool audio)
{
    uint8_t id[16], info[64], buffer[96], frame[112], event[144];
    size_t n = put_number(id, 1, handle), size = put_message(buffer, 1, id, n);
    if (audio) {
        n = put_number(info, 1, (uint64_t)(uintptr_t)tone);
        n += put_number(info + n, 2, 1);
        n += put_number(info + n, 3, 48000);
        n += put_number(info + n, 4, SAMPLES);
        size += put_message(buffer + size, 2, info, n);
    }
    size = put_message(frame, 1, buffer, size);
    n = put_number(event, 1, stream);
    n += put_message(event + n, 2, frame, size);
    return put_message(out, audio ? 4 : 3, event, n);
}

/* Bytes in memory of their own exact size: reading beyond them is seen. */
static void deliver(const uint8_t *data, size_t size)
{
    uint8_t *own = malloc(size ? size : 1);
    memcpy(own, data, size);
    tap_callback(&tap, own, size);
    free(own);
}

static void *produce(void *state)
{
    producer_t *self = state;
    uint8_t event[256];
    while (!atomic_load(&over)) {
        uint64_t random = next_random(&self->random);
        uint64_t stream = atomic_load(&first_stream) + random % (STREAMS + 8);
        size_t size = frame_event(event, stream, random | 1, random % 8 != 1);
        if (random % 16 == 0)
            size = put_message(event, 1, (const uint8_t *)&random, sizeof random);
        else if (random % 32 == 5) /* torn: no media any more */
            size = 1 + (random >> 8) % (size - 1);
        else if (random % 32 == 9) /* a picture with one byte changed: anything may come of it */
            event[(random >> 8) % size] = (uint8_t)(random >> 16);
        else if (random % 32 == 7) /* media that is not: refused */
            size = put_message(event, 4, (const uint8_t *)"\x08\xff\xff", 3);
        wire_event_t read = wire_read(event, size, &NUMBERS);
        bool media = read.kind == WIRE_AUDIO || read.kind == WIRE_VIDEO;
        self->media += media;
        self->unowned += media && read.handle == 0;
        self->events += read.kind == WIRE_OTHER;
        deliver(event, size);
    }
    atomic_fetch_add(&closing, 1);
    /* The owner closes the tap now: what comes meanwhile may be fed or not, and then nothing is. */
    for (int left = 1000; left > 0; left -= atomic_load(&closed)) {
        deliver(event, frame_event(event, atomic_load(&first_stream) + STREAMS / 2, 1, true));
        self->closing++;
    }
    return NULL;
}

static owned_t *attach(uint64_t handle, bool audio)
{
    owned_t *owned = calloc(1, sizeof *owned);
    pthread_mutex_init(&owned->meters.mutex, NULL);
    owned->stream.handle = handle;
    owned->stream.sink = feed;
    owned->stream.user = &owned->meters;
    owned->stream.num_channels = audio;
    owned->stream.sample_rate = 48000;
    tap_add(&tap, &owned->stream);
    return owned;
}

static void forget(owned_t *owned)
{
    pthread_mutex_destroy(&owned->meters.mutex);
    free(owned);
}

/* Returns how many frames it was fed. As in Python, it lives on while it is queued. */
static uint64_t detach(owned_t *owned)
{
    tap_remove(&tap, &owned->stream);
    owned->meters.gone = true; /* without the mutex: nobody else may be there */
    uint64_t frames = owned->meters.frames;
    if (!atomic_load(&owned->stream.queued))
        forget(owned);
    return frames;
}

/* What the loop does on a wake. Returns how many events there were. */
static uint64_t drain(int fd)
{
    uint64_t events = 0, ignored[512];
    while (read(fd, ignored, sizeof ignored) > 0)
        ;
    for (queue_node_t *node = queue_take(&tap.queue), *next; node != NULL; node = next) {
        next = node->next;
        if (node->is_event) {
            queue_free_event(&tap.queue, (queue_event_t *)node);
            events++;
        } else {
            tap_stream_t *stream = tap_news(node);
            if (atomic_load(&stream->removed))
                forget((owned_t *)stream);
        }
    }
    return events;
}

static uint64_t own(int fd, int seconds, owned_t **streams, uint64_t *frames)
{
    uint64_t events = 0, first = 1, turns = 0;
    double end = tap_now() + seconds;
    for (uint64_t i = 0; i < STREAMS; i++)
        streams[i] = attach(first + i, i % 8 != 1);
    while (tap_now() < end) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        poll(&wait, 1, 1);
        if (++turns % 64 < 48) /* or it is stuck, and events are lost */
            events += drain(fd);
        meters_t *some = &streams[turns % STREAMS]->meters;
        tap_lock(&some->mutex);
        uint64_t fed = some->fed, count = some->frames;
        tap_unlock(&some->mutex);
        if (fed > count * SAMPLES)
            abort();
        /* The oldest stream goes. */
        owned_t **leaving = &streams[(first - 1) % STREAMS];
        *frames += detach(*leaving);
        *leaving = attach(first + STREAMS, (first + STREAMS - 1) % 8 != 1);
        atomic_store(&first_stream, ++first);
    }
    return events;
}

/* Whether everything went where it belongs. `frames` are what the meters saw, `taken` the events
 * that the owner got. */
static bool is_right(const producer_t *producers, uint64_t frames, uint64_t taken)
{
    uint64_t events = 0, media = 0, unowned = 0, late_media = 0, fed = tap.frames;
    for (int i = 0; i < PRODUCERS; i++) {
        events += producers[i].events;
        media += producers[i].media;
        unowned += producers[i].unowned;
        late_media += producers[i].closing;
    }
    uint64_t handled = fed + tap.unknown + tap.unfit, passed = taken + tap.queue.lost;
    printf("%llu frames, %llu fed, %llu unknown, %llu broken, %llu events, %llu lost\n",
           (unsigned long long)media, (unsigned long long)fed, (unsigned long long)tap.unknown,
           (unsigned long long)tap.broken, (unsigned long long)events,
           (unsigned long long)tap.queue.lost);
    return fed > 0 && frames == fed && tap.unknown > 0 && tap.broken > 0 && tap.queue.lost > 0 &&
           handled >= media && handled < media + late_media && passed == events &&
           unowned > 0 && dropped == handled - unowned && late == 0 &&
           tap.queue.events == 0 && tap.queue.bytes == 0 && tap.inside == 0;
}

static bool begin(int *fds)
{
    for (int i = 0; i < SAMPLES; i++)
        tone[i] = 1;
    tap_init(&tap);
    tap.numbers = NUMBERS;
    tap.drop = drop;
    atomic_store(&tap.closed, false);
    if (pipe(fds) != 0)
        return false;
    atomic_store(&tap.queue.wake_fd, fds[1]);
    return fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0;
}

int main(int argc, char **argv)
{
    owned_t *streams[STREAMS];
    producer_t producers[PRODUCERS] = {0};
    pthread_t threads[PRODUCERS];
    uint64_t frames = 0, taken;
    int fds[2];
    if (!begin(fds))
        return 2;
    for (int i = 0; i < PRODUCERS; i++) {
        producers[i].random = UINT64_C(88172645463325252) + (uint64_t)i;
        pthread_create(&threads[i], NULL, produce, &producers[i]);
    }
    taken = own(fds[0], argc > 1 ? atoi(argv[1]) : 2, streams, &frames);
    atomic_store(&over, true);
    while (atomic_load(&closing) < PRODUCERS)
        sched_yield();
    bool left = tap_close(&tap);
    atomic_store(&closed, true);
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    taken += drain(fds[0]);
    for (int i = 0; i < STREAMS; i++)
        frames += detach(streams[i]);
    bool right = is_right(producers, frames, taken);
    if (!left || !right)
        fprintf(stderr, left ? "the counts above do not agree\n" : "a thread never left the tap\n");
    return left && right ? 0 : 1;
}
