"""Decoding of server messages: the built-in ones, and those of the extensions that the client knows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Union, get_args

import msgspec

from chat_actors.protocol import AnyMessage, ExtensionMessage, ServerMessage

_BUILT_IN = get_args(ServerMessage)


class UnknownMessage(msgspec.Struct, frozen=True):
    """A message with a type or fields that this client does not know.

    Attributes:
        type: The message's `type`; empty if the text is not a JSON object with a type.
        request_id: The message's `id`, if any.
    """

    type: str = ""
    request_id: str | None = msgspec.field(default=None, name="id")


class _About(msgspec.Struct, frozen=True):
    """The field that routes a message of an extension. The class that a program declares may leave it out."""

    room_id: str | None = msgspec.field(default=None, name="roomId")


_about = msgspec.json.Decoder(_About)
_envelope = msgspec.json.Decoder(UnknownMessage)


class MessageDecoder:
    """Decodes server messages. `type` selects the class; unknown fields are ignored."""

    def __init__(self, extra: Iterable[type[ExtensionMessage]] = ()) -> None:
        """Raises `ValueError` if two classes have the same `type`."""
        self._by_type: dict[str, Any] = {_type_of(cls): cls for cls in _BUILT_IN}
        for cls in extra:
            self._register(cls)
        self._make_decoder()

    def add(self, cls: type[ExtensionMessage]) -> None:
        """Decode this class too from now on. Raises `ValueError` if another class has the same `type`."""
        if self._by_type.get(_type_of(cls)) is not cls:
            self._register(cls)
            self._make_decoder()

    def decode(self, text: str | bytes) -> AnyMessage | UnknownMessage:
        """Decode one text. Never raises: anything that cannot be decoded is an `UnknownMessage`."""
        try:
            return self._decoder.decode(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            pass
        try:
            return _envelope.decode(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return UnknownMessage()

    def room_id_of(self, message: AnyMessage, text: str | bytes) -> str | None:
        """The room that a decoded message is about, if it names one."""
        if not isinstance(message, ExtensionMessage):
            room_id = getattr(message, "room_id", None)
            return room_id if isinstance(room_id, str) else None
        try:
            return _about.decode(text).room_id
        except msgspec.MsgspecError:
            return None

    def _register(self, cls: type[ExtensionMessage]) -> None:
        known = self._by_type.setdefault(_type_of(cls), cls)
        if known is not cls:
            raise ValueError(f"{cls.__qualname__} and {known.__qualname__} are both of the type {_type_of(cls)!r}")

    def _make_decoder(self) -> None:
        union: Any = Union[tuple(self._by_type.values())]  # noqa: UP007 - the classes are known only at run time
        self._decoder: msgspec.json.Decoder[AnyMessage] = msgspec.json.Decoder(union)


def _type_of(cls: type[msgspec.Struct]) -> str:
    return str(cls.__struct_config__.tag)
