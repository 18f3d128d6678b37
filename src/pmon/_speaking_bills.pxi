# What runs of speech mean by a threshold: which of them are speech, how much that is, who is told.
#
# Where speech may be does not depend on a threshold, and is found once for all of them.


cdef void bill_init(bill_t *bill, const speaking_t *detector, double threshold) noexcept nogil:
    """Bill and tell what is heard from here on."""
    memset(bill, 0, sizeof(bill_t))
    bill.threshold = threshold
    bill.since = bill.last_speech = detector.position + detector.filled
    if detector.in_run:
        bill.energy_before = detector.run_energy + detector.pending_energy
        bill.blocks_before = detector.run_blocks + detector.pending_blocks


cdef inline void _bill_judge(bill_t *bill, const speaking_t *detector) noexcept nogil:
    """Accept the open run, which sounds like speech, if it is loud enough."""
    if (
        not bill.accepted
        and not bill.over
        and detector.loudest >= bill.threshold * bill.threshold
        and detector.run_end > bill.since
    ):
        bill.accepted = True
        _bill_tell(bill, True, max(detector.run_start, bill.since))


cdef void _bill_end_run(bill_t *bill, const speaking_t *detector) noexcept nogil:
    """Bill the open run for good, if it was speech."""
    if bill.accepted:
        _bill_add_run(bill, detector)
        bill.accepted = False
        _bill_tell(bill, False, detector.run_end)
    bill.energy_before = 0.0
    bill.blocks_before = 0


cdef void bill_close(bill_t *bill, const speaking_t *detector) noexcept nogil:
    """End the open run, and bill and tell no more."""
    _bill_end_run(bill, detector)
    bill.over = True


cdef inline void _bill_add_run(bill_t *bill, const speaking_t *detector) noexcept nogil:
    """The open run up to its last speech, from where it counts."""
    bill.last_speech = detector.run_end
    bill.speech_samples += detector.run_end - max(detector.run_start, bill.since)
    if detector.run_blocks > bill.blocks_before:
        bill.speech_energy += detector.run_energy - bill.energy_before
        bill.speech_blocks += detector.run_blocks - bill.blocks_before


cdef billed_t bill_total(const bill_t *bill, const speaking_t *detector) noexcept nogil:
    """What is billed so far, of the open run up to its last speech."""
    cdef billed_t total
    cdef bill_t billed = bill[0]
    if bill.accepted:
        _bill_add_run(&billed, detector)
    total.samples = billed.speech_samples
    total.last_speech = billed.last_speech
    total.power = billed.speech_energy / billed.speech_blocks if billed.speech_blocks else 0.0
    return total


cdef void _bill_tell(bill_t *bill, bint speaking, int64_t position) noexcept nogil:
    """Queue a transition; when the queue is full a whole run goes untold, never half of one."""
    cdef transition_t *free
    if not speaking and bill.skip_stop:
        bill.skip_stop = False
        return
    if speaking and bill.num_transitions >= MAX_TRANSITIONS - 1:
        bill.skip_stop = True
        return
    free = &bill.transitions[(bill.first_transition + bill.num_transitions) % MAX_TRANSITIONS]
    free.speaking = speaking
    free.position = position
    bill.num_transitions += 1


cdef bint bill_take(bill_t *bill, transition_t *taken) noexcept nogil:
    """Move the oldest transition out. Returns whether there was one."""
    if bill.num_transitions == 0:
        return False
    taken[0] = bill.transitions[bill.first_transition]
    bill.first_transition = (bill.first_transition + 1) % MAX_TRANSITIONS
    bill.num_transitions -= 1
    return True


cdef inline int _bills_waiting(const speaking_t *detector) noexcept nogil:
    """How many transitions wait to be taken."""
    cdef int i, count = 0
    for i in range(detector.num_bills):
        count += detector.bills[i].num_transitions
    return count
