"""The kinds of rows in the table of limits, and how each proves the scope of its limit."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.conformance.limits_world import ALIKE, APART, Carrier, Scope, World

Code = str | int | None
"""The code of an error, a close code, or None: allowed."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One limit of the server."""

    name: str
    """The setting, the command, or the constant."""

    scope: Scope
    refusal: Code = None
    """The error code or close code beyond the limit. None: nothing is refused."""

    covers: Sequence[str] = ()
    """Further settings that this row pins."""

    limits: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `Limits`, small to keep the sequence short. All other limits are off."""

    constants: Mapping[str, int] = field(default_factory=dict)
    """Module attributes to replace, for the same reason."""

    retention: Mapping[str, Any] = field(default_factory=dict)
    extensions: Sequence[Any] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[..., Awaitable[None]] | None = None
    """Called as `prepare(world, number)` for each new server."""

    def carriers(self, table: Mapping[Scope, tuple[Carrier, Carrier]]) -> tuple[Carrier, Carrier]:
        return table[self.scope]


@dataclass(frozen=True, kw_only=True)
class Count(Row):
    """`allowed` uses are accepted; the next one is refused."""

    allowed: int
    use: Callable[[World, Carrier, int], Awaitable[Code]]
    """`use(world, carrier, n)` uses the limit once; `n` counts from 0, for names that must differ."""

    spacing: float = 0.0
    """Seconds between two uses."""

    refill: tuple[float, int] | None = None
    """Seconds after the refusal, and the uses that are then allowed, and no more. None: time changes nothing."""

    enters: bool = True
    """Whether the carriers' connections are opened before the first use."""

    in_room: bool = True
    login_uses: int = 0
    """Uses that a second login on the same connection costs."""

    def carriers(self, table):
        carriers = super().carriers(table)
        return carriers if self.in_room else tuple(replace(carrier, room="") for carrier in carriers)

    async def prove(self):
        await self._is_reached()
        await self._is_separate_for_others()
        await self._is_shared_within_the_scope()

    async def _is_reached(self):
        async with World(self) as world:
            carrier = self.carriers(APART)[0]
            await self._enter(world, carrier)
            await self._exhaust(world, [carrier] * self.allowed, carrier, spacing=self.spacing)
            if self.refill is not None:
                seconds, uses = self.refill
                await world.advance(seconds)
                await self._exhaust(world, [carrier] * uses, carrier, first=self.allowed + 1)

    async def _is_separate_for_others(self):
        async with World(self) as world:
            carriers = self.carriers(APART)
            await self._enter(world, *carriers)
            for n in range(2 * self.allowed):
                assert await self.use(world, carriers[n % 2], n) is None, f"{self.scope} is too wide, at use {n}"

    async def _is_shared_within_the_scope(self):
        async with World(self) as world:
            one, other = self.carriers(ALIKE)
            is_relogin = self.scope is Scope.CONNECTION
            await self._enter(world, *([one] if is_relogin else [one, other]))
            allowed = self.allowed - (self.login_uses if is_relogin else 0)
            uses = [one] * (allowed // 2) + [other] * (allowed - allowed // 2)
            await self._exhaust(world, uses, other)

    async def _enter(self, world, *carriers):
        if self.enters:
            for carrier in carriers:
                await world.enter(carrier)
            await world.advance(10_000)  # refill what entering has used

    async def _exhaust(self, world, uses, last, first=0, spacing=0.0):
        for n, carrier in enumerate(uses, start=first):
            assert await self.use(world, carrier, n) is None, f"refused at use {n}"
            await world.advance(spacing)
        assert await self.use(world, last, first + len(uses)) == self.refusal, "the use beyond the limit"


@dataclass(frozen=True, kw_only=True)
class Kept(Row):
    """At most `allowed` are kept or listed. Further ones are accepted, and others are left out."""

    allowed: int
    use: Callable[[World, Carrier, int], Awaitable[None]]
    listed: Callable[[World, Carrier], Awaitable[int]]

    async def prove(self):
        for carriers, uses in (
            (self.carriers(APART)[:1], self.allowed + 2),
            (self.carriers(APART), 2 * self.allowed),
            (self.carriers(ALIKE), self.allowed + 2),
        ):
            async with World(self) as world:
                for n in range(uses):
                    await self.use(world, carriers[n % len(carriers)], n)
                for carrier in carriers:
                    assert await self.listed(world, carrier) == self.allowed


@dataclass(frozen=True, kw_only=True)
class Size(Row):
    """A message of size `allowed` is accepted, also after others; a larger one is refused."""

    allowed: int
    send: Callable[[World, Carrier, Sequence[int]], Awaitable[Code]]
    """Sends one message of these parts: fragments, or characters of different kinds."""

    async def prove(self):
        half = self.allowed // 2
        for parts in ([self.allowed + 1], [half, self.allowed + 1 - half]):
            async with World(self) as world:
                for fitting in ([self.allowed], [half, self.allowed - half]) * 2:
                    assert await self.send(world, APART[self.scope][0], fitting) is None
                assert await self.send(world, APART[self.scope][0], parts) == self.refusal


@dataclass(frozen=True, kw_only=True)
class Time(Row):
    """Something ends after `seconds`. Other activity of the same client does not extend it."""

    seconds: float
    start: Callable[[World, Carrier], Awaitable[Any]]
    touch: Callable[[World, Any], Awaitable[None]]
    end: Callable[[World, Any], Awaitable[Code]]
    """The outcome, for what `start` has returned. Called once for each."""

    tolerance: float = 0.5

    async def prove(self):
        async with World(self) as world:
            first, second = self.carriers(APART)
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
