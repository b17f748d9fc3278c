"""WebSocket frames as the generator needs them (RFC 6455, section 5): its own out, the server's in. No I/O."""

from __future__ import annotations

import re
import struct

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA

_MASK = b"\x37\xfa\x21\x3d"  # the RFC's example; a mask need not be random here, but zero would spare servers work


def client_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """One whole masked frame."""
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
    """The frames of a server in the bytes of its stream, however they are cut."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The opcode and payload of each frame that is whole now. Fragments are not joined: no server sends any."""
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
        """The bytes of the frame that is not whole yet; they are forgotten here."""
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
    """The payloads of the pings in a stretch of the stream that was counted and not parsed.

    Good for text of ASCII alone: then 0x89 is a ping's first byte, or part of a length or of a ping's payload. One that
    is cut in two is missed; servers ask again.
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
