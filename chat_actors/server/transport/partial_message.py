"""A message that comes in pieces."""

from __future__ import annotations

from typing import Any


class PartialMessage:
    """What there is of it so far. Empty pieces cost nothing: a client may send any number of them."""

    __slots__ = ("_pieces", "size")

    def __init__(self) -> None:
        self._pieces: list[Any] = []
        self.size = 0
        """Bytes; of a text, those of its UTF-8."""

    def add(self, piece: str | bytes) -> None:
        """One of a text for a text, of bytes for a binary message."""
        if piece:
            self._pieces.append(piece)
            self.size += len(piece) if isinstance(piece, bytes) or piece.isascii() else len(piece.encode())

    def text(self) -> str:
        return "".join(self._pieces)

    def binary(self) -> bytes:
        return b"".join(self._pieces)
