/* A small fuzzer for who has no libFuzzer: mutates a corpus, and keeps what reaches new edges.
 *
 * Usage is `fuzz RUNS SEED KEEP CORPUS...`, all but the numbers being folders; what is kept goes to
 * KEEP. The target must be compiled with -fsanitize-coverage=trace-pc and this file without. An
 * input that kills it or hangs is written to KEEP as `crash`.
 */
#include <dirent.h>
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EDGES (1u << 16)
#define LONGEST 4096
#define MOST_INPUTS 20000
#define HANG_S 5
#define MOST_GROWTH (16u << 20)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __sanitizer_cov_trace_pc(void);

typedef struct {
    uint8_t *data;
    size_t size;
} input_t;

static input_t corpus[MOST_INPUTS];
static size_t inputs;
static uint8_t hits[EDGES], seen[EDGES]; /* of one execution; of all, by how often in one */
static uint32_t touched[EDGES], touches;
static uintptr_t previous;
static uint64_t random_state;
static const char *keep;
static const uint8_t *current;
static size_t current_size;
static volatile uint64_t executions;

/* An edge is the place that is reached and the one before it. */
void __sanitizer_cov_trace_pc(void)
{
    uintptr_t at = (uintptr_t)__builtin_return_address(0);
    uint32_t edge = (uint32_t)((at ^ (previous * 31)) * 2654435761u) % EDGES;
    if (hits[edge] == 0)
        touched[touches++] = edge;
    hits[edge] += hits[edge] < 255;
    previous = at;
}

/* Once, twice, some times, often: more often only counts where it is another such class. */
static uint8_t class_of(uint8_t count)
{
    return count < 4 ? (uint8_t)(1 << (count - 1)) : count < 8 ? 8 : count < 32 ? 16 : 32;
}

static bool reached_something_new(void)
{
    bool new = false;
    for (uint32_t i = 0; i < touches; i++) {
        uint8_t class = class_of(hits[touched[i]]);
        new |= (seen[touched[i]] & class) == 0;
        seen[touched[i]] |= class;
        hits[touched[i]] = 0;
    }
    touches = 0;
    previous = 0;
    return new;
}

static uint64_t pick(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

static void save(const char *folder, const char *prefix, const uint8_t *data, size_t size)
{
    char path[4200];
    uint64_t name = 1469598103934665603u;
    for (size_t i = 0; i < size; i++)
        name = (name ^ data[i]) * 1099511628211u;
    snprintf(path, sizeof path, "%s/%s%016llx", folder, prefix, (unsigned long long)name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        perror(path);
}

static void tell_of_crash(void)
{
    save(keep, "crash-", current, current_size);
    fprintf(stderr, "the input is in %s\n", keep);
}

static void on_abort(int signal_number)
{
    tell_of_crash();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void on_second(int signal_number)
{
    static uint64_t last;
    static int stuck;
    (void)signal_number;
    stuck = executions == last ? stuck + 1 : 0;
    last = executions;
    if (stuck == HANG_S) {
        fprintf(stderr, "an execution took %d s\n", HANG_S);
        abort();
    }
}

static void add(const uint8_t *data, size_t size)
{
    if (inputs == MOST_INPUTS)
        return;
    corpus[inputs].data = malloc(size ? size : 1);
    memcpy(corpus[inputs].data, data, size);
    corpus[inputs++].size = size;
}

/* In memory of its own exact size: reading beyond it is seen. */
static bool run(const uint8_t *data, size_t size)
{
    uint8_t *own = malloc(size ? size : 1);
    memcpy(own, data, size);
    current = own;
    current_size = size;
    LLVMFuzzerTestOneInput(own, size);
    executions++;
    current_size = 0;
    free(own);
    return reached_something_new();
}

static void load(const char *folder)
{
    uint8_t data[LONGEST];
    char path[4200];
    DIR *files = opendir(folder);
    for (struct dirent *file; files != NULL && (file = readdir(files)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", folder, file->d_name);
        FILE *content = file->d_name[0] == '.' ? NULL : fopen(path, "rb");
        if (content == NULL)
            continue;
        size_t size = fread(data, 1, sizeof data, content);
        fclose(content);
        run(data, size);
        add(data, size);
    }
    if (files != NULL)
        closedir(files);
}

/* Puts `from` in place of `count` bytes at `at`, as far as there is room. */
static size_t replace(uint8_t *data, size_t size, size_t at, size_t count, const uint8_t *from,
                      size_t length)
{
    if (size - count + length > LONGEST)
        return size;
    memmove(data + at + length, data + at + count, size - at - count);
    memcpy(data + at, from, length);
    return size - count + length;
}

static size_t mutate(uint8_t *data, size_t size)
{
    static const uint8_t TELLING[] = {0, 1, 2, 8, 10, 16, 18, 26, 0x7f, 0x80, 0xfe, 0xff};
    uint8_t bytes[10];
    size_t at = pick(size + 1), count = pick(size - at + 1);
    const input_t *other = &corpus[pick(inputs)];
    size_t from = pick(other->size + 1), length = pick(other->size - from + 1);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = pick(2) ? (uint8_t)pick(256) : TELLING[pick(sizeof TELLING)];
    switch (pick(7)) {
    case 0: /* one bit */
        if (at < size)
            data[at] ^= (uint8_t)(1 << pick(8));
        return size;
    case 1: /* a byte or some become others */
        length = 1 + pick(4);
        return replace(data, size, at, length <= size - at ? length : 0, bytes, length);
    case 2: /* a number becomes a longer or a shorter one */
        return replace(data, size, at, at < size, bytes, pick(sizeof bytes + 1));
    case 3: /* some are gone */
        return replace(data, size, at, count % 8 <= size - at ? count % 8 : 0, bytes, 0);
    case 4: /* the end is gone */
        return at;
    case 5: /* a part of another one comes in */
        return replace(data, size, at, 0, other->data + from, length);
    default: /* or stands in place of a part */
        return replace(data, size, at, count, other->data + from, length);
    }
}

static void fuzz_once(void)
{
    uint8_t data[LONGEST];
    const input_t *parent = &corpus[pick(inputs)];
    size_t size = parent->size;
    memcpy(data, parent->data, size);
    for (uint64_t left = 1 + pick(4); left > 0; left--)
        size = mutate(data, size);
    if (run(data, size)) {
        add(data, size);
        save(keep, "", data, size);
    }
}

static size_t resident(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    uint64_t runs = strtoull(argv[1], NULL, 10);
    random_state = strtoull(argv[2], NULL, 10) * 2 + 88172645463325252u;
    keep = argv[3];
    LLVMFuzzerInitialize(&argc, &argv);
    signal(SIGABRT, on_abort);
    signal(SIGALRM, on_second);
    setitimer(ITIMER_REAL, &(struct itimerval){{1, 0}, {1, 0}}, NULL);
    __sanitizer_set_death_callback(tell_of_crash);
    for (int i = 3; i < argc; i++)
        load(argv[i]);
    if (inputs == 0)
        return 2;
    size_t given = inputs, half = 0;
    time_t began = time(NULL);
    for (uint64_t i = 0; i < runs; i++) {
        fuzz_once();
        if (i == runs / 2)
            half = resident();
    }
    size_t end = resident(), growth = end > half ? end - half : 0;
    printf("tap_bytes in C: %llu executions in %ld s, %zu inputs given, %zu found, %zu KiB more in"
           " the last half\n", (unsigned long long)executions, (long)(time(NULL) - began), given,
           inputs - given, growth >> 10);
    for (size_t i = 0; i < inputs; i++)
        free(corpus[i].data);
    if (growth > MOST_GROWTH)
        fprintf(stderr, "it grows\n");
    return growth > MOST_GROWTH;
}
