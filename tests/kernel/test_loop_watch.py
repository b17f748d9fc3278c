"""Turns that hold the event loop, on a clock that the turn itself advances."""

import contextlib
import itertools
import logging
import threading

import anyio.lowlevel
import pytest

from chat_actors.kernel import handles
from chat_actors.kernel.loop_watch import LoopWatch
from chat_actors.kernel.testing import RunningSystem, settle
from tests.kernel.conftest import Add, Counter, Get, Ping

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _loud(caplog, _quiet):
    caplog.set_level(logging.WARNING, "chat_actors.kernel.loop_watch")


class Watched:
    """A watch without a thread. The tests answer its pings, as the event loop would."""

    def __init__(self):
        self.now = 100.0
        self.pings = []
        self.computed = 0.0
        self.watch = LoopWatch(self.pings.append, clock=lambda: self.now, processor_clock=lambda: self.computed)

    def hold(self, seconds):
        """Compute for some seconds, while the thread looks every 10 ms."""
        self.watch.check()
        for _ in range(round(seconds * 100)):
            self.now += 0.01
            self.watch.check()

    def let_go(self):
        """Run the event loop's callbacks, and look again."""
        for answer in self.pings:
            answer()
        self.pings.clear()
        self.now += 0.01
        self.watch.check()


class Holder(Counter):
    def __init__(self, watched, hook=""):
        super().__init__()
        self.watched = watched
        self.hook = hook

    @handles
    def add(self, message: Add) -> None:
        self.watched.hold(message.amount / 1000)

    @handles
    async def ping(self, message: Ping) -> None:
        """Hold the loop twice, and await in between."""
        for _ in range(2):
            self.watched.hold(message.n / 1000)
            await anyio.lowlevel.checkpoint()
            self.watched.let_go()

    def on_delivery(self, message):
        self.watched.hold(message.amount / 1000)

    def on_turn_end(self):
        if self.hook == "on_turn_end":
            self.watched.hold(0.3)

    async def on_start(self):
        if self.hook == "on_start":
            self.watched.hold(0.3)

    async def on_stop(self, reason):
        if self.hook == "on_stop":
            self.watched.hold(0.3)


@contextlib.asynccontextmanager
async def running(actor=Holder, *options):
    """A watch, and the ref of an actor that holds the loop."""
    async with RunningSystem() as system:
        watched = Watched()
        yield watched, system.spawn_named("holder", actor, watched, *options), system


def lines(caplog):
    return [record.getMessage().partition(" without awaiting")[0] for record in caplog.records]


async def test_turn_that_holds_the_loop_is_named(caplog):
    async with running() as (watched, holder, system):
        holder.tell(Add(300))
        await settle(system)
        watched.let_go()
        assert lines(caplog) == ["/holder held the event loop for 300 ms on Add"]


async def test_short_turn_is_not_named(caplog):
    async with running() as (watched, holder, system):
        for _ in range(10):
            holder.tell(Add(90))
        await settle(system)
        watched.let_go()
        assert lines(caplog) == []


async def test_awaiting_turn_is_not_named(caplog):
    """Two holds of 60 ms with an await in between are not one of 120 ms."""
    async with running() as (_, holder, system):
        holder.tell(Ping(60))
        await settle(system)
        assert lines(caplog) == []
        holder.tell(Ping(120))
        await settle(system)
        assert lines(caplog) == ["/holder held the event loop for 120 ms on Ping"]


@pytest.mark.parametrize("hook", ["on_start", "on_turn_end", "on_stop"])
async def test_hook_that_holds_the_loop_is_named(caplog, hook):
    async with running(Holder, hook) as (watched, holder, system):
        await settle(system)
        holder.stop()
        await holder.wait_stopped()
        watched.let_go()
        assert lines(caplog) == [f"/holder held the event loop for 300 ms on {hook}"]


async def test_delivery_is_the_recipients_turn(caplog):
    class Sender(Counter):
        @handles
        async def get(self, message: Get) -> int:
            return int(holder.deliver_nowait(Add(300)))

    async with running() as (watched, holder, system):
        sender = system.spawn_named("sender", Sender)
        await settle(system)
        assert await sender.ask(Get(), timeout=1) == 1
        watched.let_go()
        assert lines(caplog) == ["/holder held the event loop for 300 ms on Add"]


async def test_log_has_one_line_a_minute(caplog):
    async with running() as (watched, holder, system):
        for wait in (0, 10, 30, 30):
            watched.now += wait
            watched.watch.check()
            holder.tell(Add(200))
            await settle(system)
            watched.let_go()
        assert lines(caplog) == ["/holder held the event loop for 200 ms on Add"] * 2
        assert "2 more since the last such line" in caplog.text


async def test_stuck_turn_is_named_while_it_runs(caplog):
    class Stuck(Holder):
        @handles
        def add(self, message: Add) -> None:
            self.watched.hold(2.1)
            seen.extend(lines(caplog))
            self.watched.hold(1)

    seen = []
    async with running(Stuck) as (watched, holder, system):
        holder.tell(Add())
        await settle(system)
        watched.let_go()
        assert seen == lines(caplog) == ["/holder held the event loop for 2000 ms on Add"]


@pytest.mark.parametrize(("computed", "count"), [(0.6, 1), (0.05, 0)], ids=["computing", "busy machine"])
async def test_turn_that_stops_the_watch_too(caplog, computed, count):
    """A call may hold the interpreter's lock, so that the thread looks only after it."""

    class Locked(Holder):
        @handles
        def add(self, message: Add) -> None:
            self.watched.now += 0.6
            self.watched.computed += computed
            self.watched.watch.check()

    async with running(Locked) as (watched, holder, system):
        watched.watch.check()
        holder.tell(Add())
        await settle(system)
        watched.let_go()
        assert lines(caplog) == ["/holder held the event loop for 550 ms on Add"] * count


async def test_watch_keeps_no_turn():
    async with running() as (watched, holder, system):
        holder.tell(Add(300))
        await settle(system)
        watched.let_go()
        assert watched.watch._hold is None


async def test_thread_names_the_line_that_runs(caplog):
    logged, ticks = threading.Event(), itertools.count()

    class Logged(logging.Handler):
        def emit(self, record):
            logged.set()

    class Computing(Counter):
        @handles
        def add(self, message: Add) -> None:
            assert logged.wait(10)

    logger = logging.getLogger("chat_actors.kernel.loop_watch")
    logger.addHandler(handler := Logged())
    try:
        async with RunningSystem() as system:
            with LoopWatch(lambda answer: None, clock=lambda: next(ticks) / 10) as watch:
                system.spawn_named("computing", Computing).tell(Add())
                await settle(system)
            assert not watch._thread.is_alive()
    finally:
        logger.removeHandler(handler)
    assert lines(caplog)[0].startswith("/computing held the event loop")
    assert "threading.py:" in caplog.text
