"""A message that is received in pieces."""

from __future__ import annotations

from typing import Any


class PartialMessage:
    """The pieces received so far. Empty ones are not stored: a client may send any number of them."""

    __slots__ = ("_pieces", "size")

    def __init__(self) -> None:
        self._pieces: list[Any] = []
        self.size = 0
        """Bytes; for a text, those of its UTF-8 form."""

    def add(self, piece: str | bytes) -> None:
        """Add a `str` to a text message, `bytes` to a binary message."""
        if piece:
            self._pieces.append(piece)
            self.size += len(piece) if isinstance(piece, bytes) or piece.isascii() else len(piece.encode())

    def text(self) -> str:
        return "".join(self._pieces)

    def binary(self) -> bytes:
        return b"".join(self._pieces)
