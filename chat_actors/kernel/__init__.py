"""The actor library: mailboxes, refs, actors, supervision, registry, timers, event bus and test kit.

Independent of the chat. Its only async library is anyio, so it runs on asyncio and trio, in real and in virtual time.
"""

from chat_actors.kernel.actor import Actor, handles
from chat_actors.kernel.context import Context
from chat_actors.kernel.errors import (
    ActorStopped,
    AskFailed,
    AskTimeout,
    BadHandler,
    ChildFailed,
    KernelError,
    MailboxFull,
    NameTaken,
    SystemFailed,
    UnknownActorType,
    WorkCancelled,
)
from chat_actors.kernel.events import ActorEnded, ActorFailed, ActorRestarted, DeadLetter, EventBus, Undelivered
from chat_actors.kernel.hooks import call_hook, is_async
from chat_actors.kernel.hosted import Hosted
from chat_actors.kernel.messages import Cause, OwedAnswer, Request, StopReason
from chat_actors.kernel.ref import ActorType, AnyRef, Ref, Terminated
from chat_actors.kernel.supervision import Escalate, Restart, Resume, Stop, Supervision
from chat_actors.kernel.system import ActorSystem, Node, Statistics
from chat_actors.kernel.timers import Timer

__all__ = [
    "Actor",
    "ActorEnded",
    "ActorFailed",
    "ActorRestarted",
    "ActorStopped",
    "ActorSystem",
    "ActorType",
    "AnyRef",
    "AskFailed",
    "AskTimeout",
    "BadHandler",
    "Cause",
    "ChildFailed",
    "Context",
    "DeadLetter",
    "Escalate",
    "EventBus",
    "Hosted",
    "KernelError",
    "MailboxFull",
    "NameTaken",
    "Node",
    "OwedAnswer",
    "Ref",
    "Request",
    "Restart",
    "Resume",
    "Statistics",
    "Stop",
    "StopReason",
    "Supervision",
    "SystemFailed",
    "Terminated",
    "Timer",
    "Undelivered",
    "UnknownActorType",
    "WorkCancelled",
    "call_hook",
    "handles",
    "is_async",
]
