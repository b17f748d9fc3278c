"""What can go wrong between actors. Each exception carries its facts in fields and derives its text from them."""

from __future__ import annotations


class KernelError(Exception):
    """Base of every error that the kernel raises."""


class MailboxFull(KernelError):
    """`send_nowait` found `capacity` messages already waiting. Nothing was queued."""

    def __init__(self, path: str, capacity: int) -> None:
        self.path = path
        self.capacity = capacity

    def __str__(self) -> str:
        return f"the mailbox of {self.path} is full ({self.capacity} messages wait); await send() to wait for room"


class ActorStopped(KernelError):
    """The actor has ended, or ended before it came to this message.

    Nothing of the message was handled, unless the actor was cancelled in the middle of it (at a deadline).
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def __str__(self) -> str:
        return f"{self.path} has stopped; look the actor up again to reach its successor"


class AskTimeout(KernelError):
    """No answer came within the time given. The request may still be handled later; its answer is dropped."""

    def __init__(self, path: str, request: object, timeout: float) -> None:
        self.path = path
        self.request = request
        self.timeout = timeout

    def __str__(self) -> str:
        return f"{self.path} did not answer {type(self.request).__name__} within {self.timeout:g} s"


class AskFailed(KernelError):
    """The actor raised while it handled the request. The actor's own exception is `__cause__`."""

    def __init__(self, path: str, request: object) -> None:
        self.path = path
        self.request = request

    def __str__(self) -> str:
        return f"{self.path} failed while handling {type(self.request).__name__}: {self.__cause__!r}"


class ChildFailed(KernelError):
    """A child gave up and its supervision says `Escalate`. Raised within the parent, whose own supervision decides."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __str__(self) -> str:
        return f"the child {self.path} gave up: {self.__cause__!r}"


class SystemFailed(KernelError):
    """A failure reached the top of the tree, so the actor system has stopped. The failure is `__cause__`."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __str__(self) -> str:
        return f"the actor system has stopped, because {self.path} failed for good: {self.__cause__!r}"


class WorkCancelled(KernelError):
    """Work given to `Context.pipe` was cancelled, and not by the kernel: on asyncio, a future that it awaited was."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __str__(self) -> str:
        return f"slow work of {self.path} was cancelled by something that it awaited, not by its actor's end"


class NameTaken(KernelError):
    """A parent was asked to spawn a second child under a name that is in use."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __str__(self) -> str:
        return f"an actor named {self.path} is already running; use get_or_spawn() to share it"


class UnknownActorType(KernelError):
    """`get_or_spawn` named an actor type that no actor has declared."""

    def __init__(self, actor_type: str) -> None:
        self.actor_type = actor_type

    def __str__(self) -> str:
        return f"no actor has declared the actor type {self.actor_type!r}; its parent must call context.declare() first"


class BadHandler(KernelError):
    """An `@handles` method whose message type cannot be read from its annotations."""

    def __init__(self, handler: str, problem: str) -> None:
        self.handler = handler
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.handler} cannot handle messages: {self.problem}"
