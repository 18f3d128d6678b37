/* What waits for the loop: many threads push, one takes, nobody waits for anybody.
 *
 * A stack that is emptied in one swap and turned round: no node is taken off singly, so there is
 * no ABA problem. Who pushes onto the empty stack wakes the loop: once a batch, however large.
 */
#ifndef PMON_TAP_QUEUE_H
#define PMON_TAP_QUEUE_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bounds for a loop that is stuck: what does not fit is lost, counted, and told by whoever takes. */
#ifndef QUEUE_MOST_EVENTS
#define QUEUE_MOST_EVENTS 65536
#endif
#define QUEUE_MOST_BYTES (64u << 20)

typedef struct queue_node {
    struct queue_node *next;
    bool is_event;
} queue_node_t;

typedef struct {
    queue_node_t node; /* first, so that a node's address is the event's */
    size_t size;
    uint8_t data[];
} queue_event_t;

typedef struct {
    _Atomic(queue_node_t *) newest;
    atomic_int wake_fd;
    atomic_size_t events, bytes; /* that wait */
    atomic_uint_fast64_t lost; /* since the process began */
} queue_t;

static inline void queue_wake(queue_t *queue)
{
    uint64_t one = 1;
    int fd = atomic_load_explicit(&queue->wake_fd, memory_order_relaxed);
    /* Otherwise it can only fail because it is full, and then it is readable as it should be. */
    while (fd >= 0 && write(fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

static inline void queue_push(queue_t *queue, queue_node_t *node)
{
    queue_node_t *newest = atomic_load_explicit(&queue->newest, memory_order_relaxed);
    do
        node->next = newest;
    while (!atomic_compare_exchange_weak_explicit(&queue->newest, &newest, node,
                                                  memory_order_acq_rel, memory_order_relaxed));
    if (newest == NULL)
        queue_wake(queue);
}

static inline void queue_release(queue_t *queue, size_t size)
{
    atomic_fetch_sub_explicit(&queue->events, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&queue->bytes, size, memory_order_relaxed);
}

static inline bool queue_admit(queue_t *queue, size_t size)
{
    size_t events = atomic_fetch_add_explicit(&queue->events, 1, memory_order_relaxed);
    size_t bytes = atomic_fetch_add_explicit(&queue->bytes, size, memory_order_relaxed);
    if (events < QUEUE_MOST_EVENTS && bytes <= QUEUE_MOST_BYTES && size <= QUEUE_MOST_BYTES - bytes)
        return true;
    queue_release(queue, size);
    return false;
}

/* Copy an event, whose bytes are gone when the callback returns. Lost ones are counted. */
static inline void queue_push_event(queue_t *queue, const uint8_t *data, size_t size)
{
    queue_event_t *event = NULL;
    if (queue_admit(queue, size)) {
        event = malloc(sizeof *event + size);
        if (event == NULL)
            queue_release(queue, size);
    }
    if (event == NULL) {
        atomic_fetch_add_explicit(&queue->lost, 1, memory_order_relaxed);
        return;
    }
    event->node.is_event = true;
    event->size = size;
    memcpy(event->data, data, size);
    queue_push(queue, &event->node);
}

/* All that waits, oldest first. Empty the descriptor before, or a wake is lost. */
static inline queue_node_t *queue_take(queue_t *queue)
{
    queue_node_t *node = atomic_exchange_explicit(&queue->newest, NULL, memory_order_acq_rel);
    queue_node_t *oldest = NULL;
    while (node != NULL) {
        queue_node_t *next = node->next;
        node->next = oldest;
        oldest = node;
        node = next;
    }
    return oldest;
}

static inline void queue_free_event(queue_t *queue, queue_event_t *event)
{
    queue_release(queue, event->size);
    free(event);
}

#endif
