"""permessage-deflate (RFC 7692) without context takeover, and with a bound on the decompressed size."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason
from wsproto.handshake import server_extensions_handshake

WINDOW_BITS = 15
"""The window of our compressed frames, the same for all clients: an offer of a smaller one is declined."""


class BoundedDeflate(PerMessageDeflate):
    """Without context in either direction (RFC 7692, section 7.1.1).

    An idle client then needs no memory for a context (32 to 300 kB), and a message is compressed once for all members
    of a room. The size is checked while a message is decompressed: 58 kB can become 118 MB.
    """

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes`: limit of a decompressed message (0: no limit); beyond it, the parser fails with 1009."""
        super().__init__(client_no_context_takeover=True, server_no_context_takeover=True)
        self._max_bytes = max_bytes
        self._size = 0

    def accept(self, offer: str) -> bool | str | None:
        """The agreed parameters, or None to decline the offer."""
        try:
            if self._parse_params(offer)[1] not in {None, WINDOW_BITS}:
                return None
            return super().accept(offer)
        except ValueError:
            return None  # a parameter is not a number

    def frame_inbound_payload_data(self, proto: Any, data: bytes) -> bytes | CloseReason:
        if not self._max_bytes or not self._inbound_compressed or not self._inbound_is_compressible:
            return super().frame_inbound_payload_data(proto, data)
        if self._decompressor is None:
            raise AssertionError("the frame's header has made the decompressor")
        try:
            decompressed = self._decompressor.decompress(bytes(data), self._max_bytes + 1 - self._size)
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        self._size += len(decompressed)
        return CloseReason.MESSAGE_TOO_BIG if self._size > self._max_bytes else decompressed

    def frame_inbound_complete(self, proto: Any, fin: bool) -> bytes | CloseReason | None:
        if fin:
            self._size = 0
        return super().frame_inbound_complete(proto, fin)


def agree(offers: Sequence[str], max_bytes: int) -> tuple[BoundedDeflate, bytes] | None:
    """The extension and the answer header for the first of the client's offers that is acceptable, or None."""
    deflate = BoundedDeflate(max_bytes)
    for offer in offers:
        if answer := server_extensions_handshake([offer], [deflate]):
            return deflate, answer
    return None
