"""A raw WebSocket peer: sends any frame, valid or not, and reads the server's frames. Independent of HTTP."""

import asyncio
import os
import struct
import zlib
from dataclasses import dataclass

from tests.patience import PATIENCE

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


@dataclass(frozen=True)
class Frame:
    opcode: int
    payload: bytes


def frame_bytes(opcode, payload=b"", *, fin=True, masked=True, rsv1=False):
    head = bytes([(0x80 if fin else 0) | (0x40 if rsv1 else 0) | opcode])
    mask_bit = 0x80 if masked else 0
    size = len(payload)
    if size < 126:
        head += bytes([mask_bit | size])
    elif size < 65536:
        head += struct.pack("!BH", mask_bit | 126, size)
    else:
        head += struct.pack("!BQ", mask_bit | 127, size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


class Peer:
    """One WebSocket. A subclass calls `feed` and `feed_end`, and implements `write`, `abort` and `half_close`."""

    def __init__(self, status, headers):
        self.status = status
        self.headers = headers
        self._buffer = bytearray()
        self._frames = asyncio.Queue()
        self._ended = asyncio.Event()

    # -- called by the subclass --

    def feed(self, data):
        self._buffer += data
        while (frame := self._next_frame()) is not None:
            self._frames.put_nowait(frame)

    def feed_end(self):
        self._ended.set()
        self._frames.put_nowait(None)

    def _next_frame(self):
        data = self._buffer
        if len(data) < 2:
            return None
        is_compressed = bool(data[0] & 0x40) and "permessage-deflate" in self.headers.get(
            "sec-websocket-extensions", ""
        )
        assert is_compressed or data[0] & 0x70 == 0, "the server set a reserved bit"
        assert data[1] & 0x80 == 0, "the server masked a frame"
        size, start = data[1] & 0x7F, 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
        if len(data) < start + size:
            return None
        payload = bytes(data[start : start + size])
        if is_compressed:
            payload = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")
        frame = Frame(data[0] & 0x0F, payload)
        del data[: start + size]
        return frame

    # -- called by tests --

    async def send_frame(self, opcode, payload=b"", **options):
        await self.write(frame_bytes(opcode, payload, **options))

    async def send_text(self, text):
        await self.send_frame(TEXT, text.encode())

    async def receive(self, within=PATIENCE):
        """The next frame, or None if the connection ended."""
        async with asyncio.timeout(within):
            return await self._frames.get()

    async def receive_text(self, within=PATIENCE):
        """The text of the next frame that is no ping; pings come at any time on a busy machine, and are answered."""
        while (frame := await self.receive(within)) is not None and frame.opcode == PING:
            await self.send_frame(PONG, frame.payload)
        assert frame is not None, "the connection ended"
        assert frame.opcode == TEXT, f"expected a text frame, got {frame}"
        return frame.payload.decode()

    async def receive_close(self, within=PATIENCE):
        """The server's close code and reason. Frames before the Close are skipped."""
        async with asyncio.timeout(within):
            while True:
                frame = await self._frames.get()
                assert frame is not None, "the connection ended without a close frame"
                if frame.opcode == CLOSE:
                    return int.from_bytes(frame.payload[:2], "big"), frame.payload[2:].decode()

    async def wait_ended(self, within=PATIENCE):
        async with asyncio.timeout(within):
            await self._ended.wait()

    async def close(self, code=1000):
        """Start the closing handshake, and wait until the connection has ended."""
        await self.send_frame(CLOSE, struct.pack("!H", code))
        await self.wait_ended()

    async def write(self, data):
        raise NotImplementedError

    async def abort(self):
        raise NotImplementedError

    async def half_close(self):
        raise NotImplementedError
