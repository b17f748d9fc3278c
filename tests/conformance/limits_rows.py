"""The row types of the table of limits, and how each checks the scope of its limit."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.conformance.limits_world import ALIKE, APART, Scope, Subject, World

Code = str | int | None
"""The code of an error, a close code, or None if the use is allowed."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One limit of the server."""

    name: str
    """The setting, the command, or the constant."""

    scope: Scope
    refusal: Code = None
    """The error code or close code beyond the limit. None: nothing is refused."""

    covers: Sequence[str] = ()
    """Further settings that this row tests."""

    limits: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `Limits`, small to keep the sequence short. All other limits are off."""

    constants: Mapping[str, int] = field(default_factory=dict)
    """Module attributes to replace, for the same reason."""

    retention: Mapping[str, Any] = field(default_factory=dict)
    extensions: Sequence[Any] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[..., Awaitable[None]] | None = None
    """Called as `prepare(world, number)` for each new server."""

    def subjects(self, table: Mapping[Scope, tuple[Subject, Subject]]) -> tuple[Subject, Subject]:
        return table[self.scope]


@dataclass(frozen=True, kw_only=True)
class Count(Row):
    """`allowed` uses are accepted; the next one is refused."""

    allowed: int
    use: Callable[[World, Subject, int], Awaitable[Code]]
    """`use(world, subject, n)` uses the limit once; `n` counts from 0, for names that must differ."""

    spacing: float = 0.0
    """Seconds between two uses."""

    refill: tuple[float, int] | None = None
    """Seconds after the refusal, and the number of uses allowed after them. None: the limit is not refilled."""

    connects_first: bool = True
    """Whether the subjects connect before the first use."""

    in_room: bool = True
    logged_in: bool = True
    ends_at_login: bool = False
    """Whether a login under another name on the connection ends what was used."""

    def subjects(self, table):
        subjects = super().subjects(table)
        if not self.logged_in:
            return tuple(replace(subject, user="", room="") for subject in subjects)
        return subjects if self.in_room else tuple(replace(subject, room="") for subject in subjects)

    async def prove(self):
        await self._is_reached()
        await self._is_separate_for_others()
        if not self.ends_at_login:
            await self._is_shared_within_the_scope()

    async def _is_reached(self):
        async with World(self) as world:
            subject = self.subjects(APART)[0]
            await self._connect(world, subject)
            await self._exhaust(world, [subject] * self.allowed, subject, spacing=self.spacing)
            if self.refill is not None:
                seconds, uses = self.refill
                await world.advance(seconds)
                await self._exhaust(world, [subject] * uses, subject, first=self.allowed + 1)

    async def _is_separate_for_others(self):
        async with World(self) as world:
            subjects = self.subjects(APART)
            await self._connect(world, *subjects)
            for n in range(2 * self.allowed):
                assert await self.use(world, subjects[n % 2], n) is None, f"{self.scope} is too wide, at use {n}"

    async def _is_shared_within_the_scope(self):
        async with World(self) as world:
            one, other = self.subjects(ALIKE)
            is_relogin = self.scope is Scope.CONNECTION
            await self._connect(world, *([one] if is_relogin else [one, other]))
            uses = [one] * (self.allowed // 2) + [other] * (self.allowed - self.allowed // 2)
            await self._exhaust(world, uses, other)

    async def _connect(self, world, *subjects):
        if self.connects_first:
            for subject in subjects:
                await world.client_of(subject)
            await world.advance(10_000)  # refill what connecting and joining have used

    async def _exhaust(self, world, uses, last, first=0, spacing=0.0):
        for n, subject in enumerate(uses, start=first):
            assert await self.use(world, subject, n) is None, f"refused at use {n}"
            await world.advance(spacing)
        assert await self.use(world, last, first + len(uses)) == self.refusal, "the use beyond the limit"


@dataclass(frozen=True, kw_only=True)
class Kept(Row):
    """At most `allowed` items are kept or listed. Each use adds one and is accepted; beyond, items are left out."""

    allowed: int
    use: Callable[[World, Subject, int], Awaitable[None]]
    listed: Callable[[World, Subject], Awaitable[int]]

    async def prove(self):
        for subjects, uses in (
            (self.subjects(APART)[:1], self.allowed + 2),
            (self.subjects(APART), 2 * self.allowed),
            (self.subjects(ALIKE), self.allowed + 2),
        ):
            async with World(self) as world:
                for n in range(uses):
                    await self.use(world, subjects[n % len(subjects)], n)
                for subject in subjects:
                    assert await self.listed(world, subject) == self.allowed


@dataclass(frozen=True, kw_only=True)
class Size(Row):
    """A message of size `allowed` is accepted, also repeatedly; a larger one is refused."""

    allowed: int
    send: Callable[[World, Subject, Sequence[int]], Awaitable[Code]]
    """Sends one message. The parts are its fragments in bytes, or its one-byte and four-byte characters."""

    async def prove(self):
        half = self.allowed // 2
        for parts in ([self.allowed + 1], [half, self.allowed + 1 - half]):
            async with World(self) as world:
                for fitting in ([self.allowed], [half, self.allowed - half]) * 2:
                    assert await self.send(world, APART[self.scope][0], fitting) is None
                assert await self.send(world, APART[self.scope][0], parts) == self.refusal


@dataclass(frozen=True, kw_only=True)
class Time(Row):
    """A state ends after `seconds`. Other activity of the same client does not extend it."""

    seconds: float
    start: Callable[[World, Subject], Awaitable[Any]]
    touch: Callable[[World, Any], Awaitable[None]]
    end: Callable[[World, Any], Awaitable[Code]]
    """Returns the outcome for the result of `start`. Called once for each result."""

    tolerance: float = 0.5

    async def prove(self):
        async with World(self) as world:
            first, second = self.subjects(APART)
            early = await self.start(world, replace(first, connection=10))
            touched = await self.start(world, first)
            await world.advance(self.seconds / 2)
            await self.touch(world, touched)
            later = await self.start(world, second)
            latest = await self.start(world, replace(second, connection=11))
            await world.advance(self.seconds / 2 - self.tolerance)
            assert await self.end(world, early) is None, "before its time"
            await world.advance(2 * self.tolerance)
            assert await self.end(world, touched) == self.refusal, "activity has extended it"
            assert await self.end(world, later) is None, f"{self.scope} is too wide"
            await world.advance(self.seconds / 2)
            assert await self.end(world, latest) == self.refusal
