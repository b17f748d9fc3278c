"""A chat server whose users are key pairs and whose moving parts are actors.

This module exports the public names for extensions. Each name is imported on first access, so that a client program
does not load the server.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from chat_actors.chat import (
        API_VERSION,
        Bot,
        Caller,
        Extension,
        HttpRequest,
        HttpResponse,
        Rate,
        Refused,
        RemovedUser,
        RoomHandle,
        RoomKind,
        Scope,
        Service,
        Store,
        Where,
        command,
        endpoint,
        events,
    )
    from chat_actors.kernel import (
        Actor,
        ActorStopped,
        AskFailed,
        AskTimeout,
        Escalate,
        OwedAnswer,
        Ref,
        Request,
        Restart,
        Resume,
        Stop,
        StopReason,
        Terminated,
        handles,
    )
    from chat_actors.protocol import ExtensionCommand as Command
    from chat_actors.protocol import ExtensionMessage as Message
    from chat_actors.protocol import UserId
    from chat_actors.protocol.messages import ChatMessage
    from chat_actors.storage import StorageError

__all__ = [
    "API_VERSION",
    "Actor",
    "ActorStopped",
    "AskFailed",
    "AskTimeout",
    "Bot",
    "Caller",
    "ChatMessage",
    "Command",
    "Escalate",
    "Extension",
    "HttpRequest",
    "HttpResponse",
    "Message",
    "OwedAnswer",
    "Rate",
    "Ref",
    "Refused",
    "RemovedUser",
    "Request",
    "Restart",
    "Resume",
    "RoomHandle",
    "RoomKind",
    "Scope",
    "Service",
    "Stop",
    "StopReason",
    "StorageError",
    "Store",
    "Terminated",
    "UserId",
    "Where",
    "__version__",
    "command",
    "endpoint",
    "events",
    "handles",
]

_OTHER_MODULES = {  # names that chat_actors.chat does not export
    "kernel": (
        "Actor", "ActorStopped", "AskFailed", "AskTimeout", "Escalate", "OwedAnswer", "Ref", "Request", "Restart",
        "Resume", "Stop", "StopReason", "Terminated", "handles",
    ),
    "protocol": ("Command", "Message", "UserId"),
    "protocol.messages": ("ChatMessage",),
    "storage": ("StorageError",),
}  # fmt: skip
_MODULES = {name: module for module, names in _OTHER_MODULES.items() for name in names}
_RENAMED = {"Command": "ExtensionCommand", "Message": "ExtensionMessage"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"chat_actors.{_MODULES.get(name, 'chat')}")
    return getattr(module, _RENAMED.get(name, name))
