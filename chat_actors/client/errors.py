"""The client's exceptions. Those of the socket, the login and the key file are in their own modules."""

from __future__ import annotations

from collections.abc import Sequence

from chat_actors.protocol import messages


class ClientError(Exception):
    """Base class of every error that a server, a connection or a key file causes.

    `str(error)` can be shown to a user.
    """


class CommandRefused(ClientError):
    """The server refused the request, and would refuse it again.

    Attributes:
        text: The server's explanation, for people.
        code: The error code, for programs.
    """

    def __init__(self, error: messages.Error) -> None:
        self.text = error.message
        self.code = error.code

    def __str__(self) -> str:
        return f"the server refused: {self.text}"


class Unanswered(ClientError):
    """An extension command got no answer. The server may have executed it or not.

    The client does not repeat such a command, because executing it twice may not be safe.

    Attributes:
        command: Class name of the command.
        why: Why no answer will come.
    """

    def __init__(self, command: str, why: str) -> None:
        self.command = command
        self.why = why

    def __str__(self) -> str:
        return f"no answer to {self.command!r}: {self.why}; it may have been executed, or not"


class RemovedFromRoom(ClientError):
    """The server removed the user from the room. No more events of the room arrive.

    Attributes:
        room_id: The room.
        text: The server's reason, for people.
        code: The error code, for programs.
    """

    def __init__(self, room_id: str, text: str, code: str | None) -> None:
        self.room_id = room_id
        self.text = text
        self.code = code

    def __str__(self) -> str:
        return f"out of the room {self.room_id}: {self.text}"


class ServerTooOld(ClientError):
    """The server is older than this client, and lacks a feature that the client needs.

    Attributes:
        missing: The features that the server does not offer.
    """

    def __init__(self, missing: Sequence[str]) -> None:
        self.missing = missing

    def __str__(self) -> str:
        features = ", ".join(self.missing)
        return f"the server is too old for this client: it lacks {features}; update the server, or use an older client"


class TooMuchUnsent(ClientError):
    """Too many requests wait for the server. The new one was not added.

    Attributes:
        most: The limit.
    """

    def __init__(self, most: int) -> None:
        self.most = most

    def __str__(self) -> str:
        return f"{self.most} commands wait for the server already; wait until some have been answered"
