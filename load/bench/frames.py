"""Encodes the generator's WebSocket frames and decodes the server's (RFC 6455, section 5). No I/O."""

from __future__ import annotations

import re
import struct

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA

_MASK = b"\x37\xfa\x21\x3d"  # the RFC's example; need not be random here, but zero would save servers work


def client_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """Encode a final, masked frame."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65536:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
    mask = (_MASK * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")
    return head + _MASK + masked.to_bytes(size, "big")


class FrameReader:
    """Decodes a server's frames from its byte stream."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The opcode and payload of each frame that is now complete. Fragments are not joined; no server sends any."""
        self._pending += data
        frames = []
        at = 0
        while (frame := self._frame_at(at)) is not None:
            opcode, start, end = frame
            frames.append((opcode, bytes(self._pending[start:end])))
            at = end
        del self._pending[:at]
        return frames

    def take_rest(self) -> bytes:
        """Remove and return the bytes of the incomplete frame."""
        rest = bytes(self._pending)
        self._pending.clear()
        return rest

    def _frame_at(self, at: int) -> tuple[int, int, int] | None:
        pending = self._pending
        if len(pending) < at + 2:
            return None
        opcode, size, start = pending[at] & 0x0F, pending[at + 1] & 0x7F, at + 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(pending) < start + width:
                return None
            size = int.from_bytes(pending[start : start + width], "big")
            start += width
        end = start + size
        return (opcode, start, end) if len(pending) >= end else None


_PING = re.compile(rb"\x89([\x00-\x7d])", re.DOTALL)


def find_pings(data: bytes | bytearray | memoryview) -> list[bytes]:
    """The payloads of the pings in bytes that were counted but not parsed.

    Works only if all texts are ASCII: then 0x89 is the first byte of a ping, or part of a length or of a ping's
    payload. A ping that two reads split is missed; servers ping again.
    """
    pings = []
    found = _PING.search(data)
    while found is not None:
        start, end = found.start(), found.end() + found[1][0]
        if bytes(data[max(0, start - 1) : start]) == b"\x7e" or bytes(data[max(0, start - 2) : start - 1]) == b"\x7e":
            end = start + 1  # inside a 16 bit length
        else:
            pings.append(bytes(data[found.end() : end]))
        found = _PING.search(data, end)
    return pings
