/* One input of the fuzzer: bytes that the SDK may call the tap with, and the books they must balance.
 *
 * It has libFuzzer's interface, so clang can take it as it is; without clang, engine.c drives it.
 */
#include <fcntl.h>
#include <stdio.h>

#include "_tap_core.h"

#define LISTENED 5 /* the stream of the corpus */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tap_t tap;
static tap_stream_t heard, seen; /* the second is found where the first one is gone */
static uint64_t dropped, last_dropped, fed;

static void must(bool true_of_it, const char *what)
{
    if (!true_of_it) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

static bool drop(uint64_t handle)
{
    dropped++;
    last_dropped = handle;
    return true;
}

/* The samples are the SDK's: nothing but its word says that they are there, so none is read. */
static int feed(void *user, const int16_t *samples, size_t count, double now)
{
    tap_stream_t *stream = user;
    (void)now;
    fed++;
    if (stream->num_channels == 0)
        return false;
    must((uintptr_t)samples >= TAP_LEAST_ADDRESS, "samples have an address");
    must((uintptr_t)samples % sizeof *samples == 0, "samples are aligned");
    must(count > 0 && count <= TAP_MOST_SAMPLES * stream->num_channels, "a frame is short");
    return true;
}

static tap_stream_t stream_of(tap_stream_t *at, uint64_t handle, uint32_t channels)
{
    return (tap_stream_t){
        .handle = handle, .sink = feed, .user = at, .num_channels = channels,
        .sample_rate = channels ? 48000 : 0,
    };
}

/* The numbers of the fields are the SDK's, as in the corpus; `fuzz.py` knows them. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    const char *given = getenv("TAP_FIELDS");
    uint32_t *number = (uint32_t *)&tap.numbers;
    size_t left = sizeof tap.numbers / sizeof *number;
    for (char *end; given != NULL && left > 0; left--, given = end)
        *number++ = (uint32_t)strtoul(given, &end, 10);
    must(left == 0, "TAP_FIELDS has all numbers");
    tap_init(&tap);
    tap.drop = drop;
    atomic_store(&tap.closed, false);
    heard = stream_of(&heard, LISTENED, 1);
    seen = stream_of(&seen, LISTENED + 1, 0);
    tap_add(&tap, &heard);
    tap_add(&tap, &seen);
    return 0;
}

/* Takes what is queued. Returns how many events it was; each must be what came. */
static unsigned take(const uint8_t *data, size_t size)
{
    unsigned events = 0;
    for (queue_node_t *node = queue_take(&tap.queue), *next; node != NULL; node = next) {
        next = node->next;
        if (!node->is_event) {
            must(tap_news(node) == &heard, "only audio has news");
            continue;
        }
        queue_event_t *event = (queue_event_t *)node;
        must(event->size == size && memcmp(event->data, data, size) == 0, "an event stays whole");
        queue_free_event(&tap.queue, event);
        events++;
    }
    return events;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    uint64_t before = dropped, fed_before = fed, frames = tap.frames, broken = tap.broken;
    uint64_t strange = tap.unknown + tap.unfit, lost = tap.queue.lost;
    wire_event_t read = wire_read(data, size, &tap.numbers);
    tap_callback(&tap, data, size);
    bool media = read.kind == WIRE_AUDIO || read.kind == WIRE_VIDEO;
    must(take(data, size) == (read.kind == WIRE_OTHER), "what is no media is passed on, once");
    must(tap.broken - broken == (read.kind == WIRE_BROKEN), "broken media is counted");
    must(tap.frames - frames == fed - fed_before, "what was fed is counted");
    must(tap.frames - frames + tap.unknown + tap.unfit - strange == media, "media is one of them");
    must(dropped - before == (media && read.handle != 0), "a handle is let go of once");
    must(dropped == before || last_dropped == read.handle, "and no other is");
    must(tap.queue.events == 0 && tap.queue.bytes == 0 && tap.inside == 0, "nothing is left");
    must(tap.queue.lost == lost, "nothing is lost");
    return 0;
}
