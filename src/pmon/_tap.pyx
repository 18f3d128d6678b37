# cython: language_level=3, auto_pickle=False, cdivision=True
"""LiveKit's media without Python: audio frames feed their track's meters on the SDK's own threads.

``Meters`` are what one audio track is measured with, whoever feeds them. The functions below put
the tap before the SDK's own event callback: media events feed meters in place and are over; all
else waits until the loop takes it. The C code behind it, ``_tap_core.h``, says how threads agree.

There is one tap a process, as there is one SDK, and it is never taken out again: a frame may be on
its way at any time. ``close`` makes it drop everything, and in a forked child it is dead.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.math cimport INFINITY, NAN, isnan, log10
from libc.stdint cimport int16_t, int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, realloc

from pmon._dsp cimport (
    bill_close,
    bill_init,
    bill_t,
    bill_take,
    bill_total,
    billed_t,
    frame_rate_add,
    frame_rate_init,
    frame_rate_t,
    mic_dc,
    mic_feed,
    mic_floor,
    mic_init,
    mic_level,
    mic_resume,
    mic_t,
    mic_totals,
    mic_totals_t,
    speaking_end_run,
    speaking_expect,
    speaking_feed,
    speaking_floor_dbov,
    speaking_init,
    speaking_t,
    transition_t,
    MAX_CHANNELS,
    MAX_TRANSITIONS,
    P56_LEVELS,
)

include "_meters.pxi"
include "_track_meters.pxi"
include "_taps.pxi"
