"""The bytes of a WebSocket text frame as a server sends it."""

from __future__ import annotations

WHOLE_TEXT = 0x81
"""First byte of a text frame that is a whole message: FIN, and opcode 1 (RFC 6455, section 5.2)."""


def text_frame(payload: bytes) -> bytes:
    """One whole, unmasked and uncompressed text frame around `payload`, which is UTF-8 (RFC 6455, section 5.2).

    The same bytes for every receiver, so that a message to a room is framed once and not once for each member.
    """
    size = len(payload)
    if size < 126:
        return bytes((WHOLE_TEXT, size)) + payload
    if size < 65536:
        return bytes((WHOLE_TEXT, 126, size >> 8, size & 0xFF)) + payload
    return bytes((WHOLE_TEXT, 127)) + size.to_bytes(8, "big") + payload
