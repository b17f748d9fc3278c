"""A chat server whose users are key pairs and whose moving parts are actors.

What an extension is written with stands here; it is imported when it is asked for, so that a client's program, which
asks for none of it, does not load a server.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from chat_actors.chat import Caller, Extension, Rate, Refused, RoomKind, RoomView, Scope, Service, Where, command
    from chat_actors.kernel import Actor, Request, Restart, handles
    from chat_actors.protocol import ExtensionCommand as Command
    from chat_actors.protocol import ExtensionMessage as Message

__all__ = [
    "Actor",
    "Caller",
    "Command",
    "Extension",
    "Message",
    "Rate",
    "Refused",
    "Request",
    "Restart",
    "RoomKind",
    "RoomView",
    "Scope",
    "Service",
    "Where",
    "__version__",
    "command",
    "handles",
]

_KERNEL = ("Actor", "Request", "Restart", "handles")
_RENAMED = {"Command": "ExtensionCommand", "Message": "ExtensionMessage"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "kernel" if name in _KERNEL else "protocol" if name in _RENAMED else "chat"
    return getattr(importlib.import_module(f"chat_actors.{module}"), _RENAMED.get(name, name))
