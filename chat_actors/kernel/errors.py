"""The kernel's exceptions. Each keeps its facts in attributes and derives its text from them."""

from __future__ import annotations


class KernelError(Exception):
    """Base class of the kernel's exceptions."""


class MailboxFull(KernelError):
    """The mailbox has no free slot for a message. Nothing was queued.

    Attributes:
        path: The path of the actor.
        capacity: The capacity of its mailbox, in messages.
    """

    def __init__(self, path: str, capacity: int) -> None:
        self.path = path
        self.capacity = capacity

    def __str__(self) -> str:
        return f"the mailbox of {self.path} is full ({self.capacity} messages wait); to wait for a slot, await send()"


class ActorStopped(KernelError):
    """The actor has ended, or it ended before it handled this message.

    The message was not handled at all, unless the actor was cancelled while handling it (at a deadline).

    Attributes:
        path: The path of the actor.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def __str__(self) -> str:
        return f"{self.path} has stopped; look the actor up again to reach its successor"


class AskTimeout(KernelError):
    """No answer arrived within the timeout. The actor may still handle the request; its answer is then dropped.

    Attributes:
        path: The path of the actor.
        request: The request.
        timeout: The timeout, in seconds.
    """

    def __init__(self, path: str, request: object, timeout: float) -> None:
        self.path = path
        self.request = request
        self.timeout = timeout

    def __str__(self) -> str:
        return f"{self.path} did not answer {type(self.request).__name__} within {self.timeout:g} s"


class AskFailed(KernelError):
    """The actor raised an exception while it handled the request, or has no handler for it.

    Attributes:
        path: The path of the actor.
        request: The request.
        __cause__: The actor's exception.
    """

    def __init__(self, path: str, request: object) -> None:
        self.path = path
        self.request = request

    def __str__(self) -> str:
        return f"{self.path} failed while handling {type(self.request).__name__}: {self.__cause__!r}"


class ChildFailed(KernelError):
    """A child failed for good with the policy `Escalate`. Raised in the parent, whose own supervision decides."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __str__(self) -> str:
        return f"the child {self.path} gave up: {self.__cause__!r}"


class SystemFailed(KernelError):
    """A failure escalated beyond the top of the tree, so the actor system has stopped. `__cause__` is the failure."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __str__(self) -> str:
        return f"the actor system has stopped, because {self.path} failed for good: {self.__cause__!r}"


class WorkCancelled(KernelError):
    """Work passed to `Context.pipe` was cancelled from outside the kernel, as by an asyncio future that it awaited."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __str__(self) -> str:
        return f"slow work of {self.path} was cancelled from outside the kernel, not because its actor ended"


class NameTaken(KernelError):
    """A child with this name is already running."""

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
    """A handler marked with `@handles` is unusable: its annotation names no message type, or it is the second one."""

    def __init__(self, handler: str, problem: str) -> None:
        self.handler = handler
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.handler} cannot handle messages: {self.problem}"
