"""Which messages of the server a client understands: the built-in ones, and those of extensions that it was told of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Union, get_args

import msgspec

from chat_actors.protocol import AnyMessage, ExtensionMessage, ServerMessage

_BUILT_IN = get_args(ServerMessage)


class Unknown(msgspec.Struct, frozen=True):
    """A message of a type, or with fields, that this client knows nothing of; its `type` and its `id`."""

    type: str = ""
    request_id: str | None = msgspec.field(default=None, name="id")


_envelope = msgspec.json.Decoder(Unknown)


class Dialect:
    """Decodes what the server sends. `type` decides which class it becomes; unknown fields are ignored."""

    def __init__(self, extra: Iterable[type[ExtensionMessage]] = ()) -> None:
        """Raises `ValueError` if two classes have the same `type`."""
        self._by_type: dict[str, Any] = {_type_of(kind): kind for kind in _BUILT_IN}
        for kind in extra:
            self._add(kind)
        self._make_decoder()

    def learn(self, kind: type[ExtensionMessage]) -> None:
        """Understand these too from now on. Raises `ValueError` if another class has the same `type`."""
        if self._by_type.get(_type_of(kind)) is not kind:
            self._add(kind)
            self._make_decoder()

    def decode(self, text: str | bytes) -> AnyMessage | Unknown:
        """The message in a frame. What is no JSON object at all is `Unknown` without a type. Never raises."""
        try:
            return self._decoder.decode(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            pass
        try:
            return _envelope.decode(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return Unknown()

    def _add(self, kind: type[ExtensionMessage]) -> None:
        known = self._by_type.setdefault(_type_of(kind), kind)
        if known is not kind:
            raise ValueError(f"{kind.__qualname__} and {known.__qualname__} are both of the type {_type_of(kind)!r}")

    def _make_decoder(self) -> None:
        everything: Any = Union[tuple(self._by_type.values())]  # noqa: UP007 - made of values, not written down
        self._decoder: msgspec.json.Decoder[AnyMessage] = msgspec.json.Decoder(everything)


def _type_of(kind: type[msgspec.Struct]) -> str:
    return str(kind.__struct_config__.tag)
