"""A round trip through Opus as a call makes it: discontinuous transmission, and concealed losses.

libopus is asked itself (RFC 6716; ``opus.h``), the one that PyAV carries or the system's: PyAV's
own encoder offers no DTX.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

VOIP = 2048
SET_BITRATE, SET_PACKET_LOSS, SET_DTX, GET_LOOKAHEAD = 4002, 4014, 4016, 4027
NOT_SENT = 2
"""Packets of up to so many bytes need not be sent (``opus.h``): the encoder hears nothing."""
MAX_BYTES = 1276


class OpusError(Exception):
    """There is no libopus, or it refused."""


@cache
def _library() -> ctypes.CDLL:
    carried = sorted((Path(av.__file__).parents[1] / "av.libs").glob("libopus-*"))
    name = str(carried[0]) if carried else ctypes.util.find_library("opus")
    if name is None:
        raise OpusError("neither PyAV nor the system has a libopus")
    library = ctypes.CDLL(name)
    library.opus_encoder_create.restype = ctypes.c_void_p
    library.opus_decoder_create.restype = ctypes.c_void_p
    library.opus_get_version_string.restype = ctypes.c_char_p
    return library


def version() -> str:
    """As libopus tells it."""
    told: bytes = _library().opus_get_version_string()
    return told.decode()


def round_trip(
    samples: npt.NDArray[np.int16],
    sample_rate: int,
    bit_rate: int,
    lost: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.int16]:
    """What comes out of the decoder, in step with what went in and as long.

    Mono, 20 ms a packet. ``lost`` says which packets never arrive; they are concealed, and so are
    those that the encoder does not send while it hears nothing.
    """
    sent = list(packets(samples, sample_rate, bit_rate))
    lookahead = _lookahead(sample_rate)
    arrived = [
        None if lost is not None and lost[min(i, len(lost) - 1)] else packet
        for i, packet in enumerate(sent)
    ]
    decoded = np.concatenate(list(_decoded(arrived, sample_rate)))
    return decoded[lookahead : lookahead + len(samples)]


def packets(
    samples: npt.NDArray[np.int16], sample_rate: int, bit_rate: int
) -> Iterator[bytes | None]:
    """One packet for each 20 ms and for the encoder's delay; None where it sends nothing.

    It stops sending where it hears no voice, far under the loudest that it has heard.
    """
    library, packet = _library(), sample_rate // 50
    encoder = ctypes.c_void_p(_made(library.opus_encoder_create, sample_rate, 1, VOIP))
    for request, value in ((SET_BITRATE, bit_rate), (SET_DTX, 1), (SET_PACKET_LOSS, 5)):
        _check(library.opus_encoder_ctl(encoder, request, value))
    padded = np.concatenate([samples, np.zeros(2 * packet, dtype=np.int16)])
    out = ctypes.create_string_buffer(MAX_BYTES)
    for first in range(0, len(padded) - packet + 1, packet):
        pcm = np.ascontiguousarray(padded[first : first + packet])
        size = _check(
            library.opus_encode(
                encoder, pcm.ctypes.data_as(ctypes.c_void_p), packet, out, MAX_BYTES
            )
        )
        yield out.raw[:size] if size > NOT_SENT else None
    library.opus_encoder_destroy(encoder)


def _decoded(packets: list[bytes | None], sample_rate: int) -> Iterator[npt.NDArray[np.int16]]:
    library, packet = _library(), sample_rate // 50
    decoder = ctypes.c_void_p(_made(library.opus_decoder_create, sample_rate, 1))
    for data in packets:
        pcm = np.zeros(packet, dtype=np.int16)
        where = pcm.ctypes.data_as(ctypes.c_void_p)
        size = len(data) if data else 0
        _check(library.opus_decode(decoder, data, size, where, packet, 0))
        yield pcm
    library.opus_decoder_destroy(decoder)


def _lookahead(sample_rate: int) -> int:
    library = _library()
    encoder = ctypes.c_void_p(_made(library.opus_encoder_create, sample_rate, 1, VOIP))
    told = ctypes.c_int32()
    _check(library.opus_encoder_ctl(encoder, GET_LOOKAHEAD, ctypes.byref(told)))
    library.opus_encoder_destroy(encoder)
    return told.value


def _made(create: ctypes._FuncPointer, *arguments: int) -> int:
    error = ctypes.c_int()
    pointer = create(*arguments, ctypes.byref(error))
    _check(error.value)
    return int(pointer)


def _check(result: int) -> int:
    if result < 0:
        raise OpusError(f"libopus says {result}")
    return result
