"""Checks the class of a service, bot or room kind when the server starts: its hooks, attributes and decorators."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from chat_actors.chat.bot import Bot
from chat_actors.chat.room_kind import RoomKind
from chat_actors.chat.service import Scope, Service
from chat_actors.kernel import Actor, BadHandler, is_async
from chat_actors.kernel.actor import handlers_of
from chat_actors.protocol import bot_id, is_room_id

PLAIN_HOOKS = frozenset(
    {"matches", "on_delivery", "on_failure", "on_incarnation", "on_turn_end", "on_unhandled", "make_state"}
)
"""Hooks that are called where nothing can be awaited."""

OTHER_HOOKS = ("may_join", "may_stay", "state_for", "matches", "make_state")
"""Hooks whose names do not begin with `on_`."""

MARKS = {"handles_messages": "handles", "executes": "command", "answers_http": "endpoint"}
"""Attribute of a method → the decorator that has set it."""


def check_service(service: type[Service]) -> None:
    """Raises `BadHandler`, which names the method or attribute."""
    base = Bot if issubclass(service, Bot) else Service
    _check_hooks(service, base)
    any_service: Any = service
    if not isinstance(any_service.scope, Scope):
        raise BadHandler(f"{service.__qualname__}.scope", "write scope = Scope.SERVER, Scope.USER or Scope.ROOM")
    if callable(inspect.getattr_static(service, "is_needed")):
        raise BadHandler(f"{service.__qualname__}.is_needed", "write @property above the method")
    handlers_of(any_service)
    if issubclass(service, Bot):
        _check_bot(service)


def _check_bot(bot: type[Bot]) -> None:
    try:
        bot_id(bot.name)
    except ValueError as error:
        raise BadHandler(bot.__qualname__, f"{error}; write name = ...") from None
    rooms: Any = bot.rooms
    if not isinstance(rooms, tuple | list):
        raise BadHandler(f"{bot.__qualname__}.rooms", f"write a tuple of names: rooms = ({rooms!r},)")
    for room_id in rooms:
        if not isinstance(room_id, str) or not is_room_id(room_id):
            raise BadHandler(f"{bot.__qualname__}.rooms", f"{room_id!r} is not the name of a room")


def check_room_kind(kind: type[RoomKind]) -> None:
    """Raises `BadHandler`, which names the method or attribute."""
    _check_hooks(kind, RoomKind)
    if "matches" not in _overridden(kind, RoomKind) and not kind.rooms and not kind.chosen_as:
        raise BadHandler(kind.__qualname__, "no room would have it: set rooms or chosen_as, or override matches")
    for name in ("rooms", "chosen_as", "kept_as"):
        if not isinstance(getattr(kind, name), str):
            raise BadHandler(f"{kind.__qualname__}.{name}", "it must be a text")
    for name, function in inspect.getmembers(kind, inspect.isfunction):
        for mark in ("handles_messages", "answers_http"):
            if mark in vars(function):
                raise BadHandler(
                    f"{kind.__qualname__}.{name}", f"write it in a Service: a RoomKind has no @{MARKS[mark]}"
                )


def _check_hooks(owner: type[Any], base: type[Any]) -> None:
    hooks = [name for name in dir(base) if name.startswith("on_") or name in OTHER_HOOKS]
    hooks = [name for name in hooks if hasattr(base, name)]
    for name in _public_methods(owner):
        if name.startswith("on_") and name not in hooks:
            remedy = _remedy(name, hooks)
            problem = f"{base.__name__} has no hook of this name; {remedy}, or _{name} for a method of your own"
            raise BadHandler(f"{owner.__qualname__}.{name}", problem)
    for name in _overridden(owner, base):
        if name in hooks:
            _check_hook(owner, base, name)


def _remedy(name: str, hooks: Sequence[str]) -> str:
    for other in (Bot, RoomKind):
        if hasattr(other, name):
            return f"derive the class from {other.__name__}"
    near = difflib.get_close_matches(name, hooks, 1, 0.7)
    return f"write {near[0]}" if near else f"write one of {', '.join(hooks)}"


def _check_hook(owner: type[Any], base: type[Any], name: str) -> None:
    label, hook = f"{owner.__qualname__}.{name}", getattr(owner, name)
    if not callable(hook):
        raise BadHandler(label, "it is a hook of the base class, and must be a method")
    of_class = isinstance(inspect.getattr_static(base, name), classmethod)
    if of_class and not isinstance(inspect.getattr_static(owner, name), classmethod | staticmethod):
        raise BadHandler(label, "write @classmethod above the method")
    if marks := [mark for attribute, mark in MARKS.items() if getattr(hook, attribute, None)]:
        raise BadHandler(label, f"it is a hook of {base.__name__}: remove @{marks[0]}, or rename the method")
    if name in PLAIN_HOOKS and is_async(hook):
        raise BadHandler(label, f"it must be plain: write def {name}, without async")
    if inspect.isgeneratorfunction(hook) or inspect.isasyncgenfunction(hook):
        raise BadHandler(label, "it must not yield")
    if inspect.ismethod(getattr(base, name)) and not inspect.ismethod(hook):
        raise BadHandler(label, "it must be a class method: write @classmethod above it")
    parameters = list(inspect.signature(getattr(base, name)).parameters)
    try:
        inspect.signature(hook).bind(*parameters)
    except TypeError:
        written = f"def {name}({', '.join(parameters)})"
        raise BadHandler(label, f"it takes other arguments than the server passes: write {written}") from None


def _public_methods(owner: type[Any]) -> Iterator[str]:
    """The methods that are no hooks by their decorator."""
    for name, member in inspect.getmembers(owner, callable):
        if not name.startswith("_") and not any(getattr(member, mark, None) for mark in MARKS):
            yield name


def _overridden(owner: type[Any], base: type[Any]) -> list[str]:
    """The names of `base` that a subclass has defined anew."""
    own = owner.__mro__[: owner.__mro__.index(base)]
    return [name for name in dir(base) if any(name in vars(cls) for cls in own)]


def check_class(item: Any, base: type[Any], listed_as: str) -> None:
    """Check that an entry of `services` or `room_kinds` is a class of that kind. Raises `BadHandler`."""
    if not isinstance(item, type):
        label = type(item).__qualname__
        raise BadHandler(label, f"write the class in {listed_as}, without (): {label}")
    if issubclass(item, base):
        if item is base or item is Bot:
            raise BadHandler(item.__qualname__, f"write a subclass in {listed_as}")
        return
    for other, right in ((Service, "services"), (RoomKind, "room_kinds")):
        if issubclass(item, other):
            raise BadHandler(item.__qualname__, f"it is a {other.__name__}: write it in {right}, not in {listed_as}")
    article = "an actor, but no Service" if issubclass(item, Actor) else f"no {base.__name__}"
    raise BadHandler(item.__qualname__, f"it is {article}: derive it from {base.__name__}")
