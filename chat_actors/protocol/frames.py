"""WebSocket text frames as a server sends them."""

from __future__ import annotations

import zlib

WHOLE_TEXT = 0x81
"""First byte of a text frame that is a whole message: FIN and opcode 1 (RFC 6455, section 5.2)."""

COMPRESSED = 0x40
"""RSV1, the bit of the first byte that marks a compressed message (RFC 7692, section 6)."""

WORTH_COMPRESSING = 128
"""Shortest payload that is compressed, in bytes. Shorter ones hardly shrink."""


def text_frame(payload: bytes) -> bytes:
    """One whole, unmasked and uncompressed text frame around `payload`, which is UTF-8 (RFC 6455, section 5.2).

    The bytes are the same for every recipient, so a message to a room is framed once, not once for each member.
    """
    return _frame(WHOLE_TEXT, payload)


def compressed_text_frame(payload: bytes) -> bytes:
    """As `text_frame`, but compressed if that makes it smaller (RFC 7692, section 7.2.1).

    For recipients that negotiated permessage-deflate with `server_no_context_takeover`.
    """
    if len(payload) < WORTH_COMPRESSING:
        return text_frame(payload)
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    compressed = (deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]
    return _frame(WHOLE_TEXT | COMPRESSED, compressed) if len(compressed) < len(payload) else text_frame(payload)


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return bytes((first, 126, size >> 8, size & 0xFF)) + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload
