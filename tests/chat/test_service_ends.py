"""The ends of services and bots: idle ones stop, and a crash loses no timer that the service needs."""

import anyio
import msgspec
import pytest

from chat_actors.chat import ROOMS, Bot, Extension, HttpResponse, Scope, Service, command, endpoint, events
from chat_actors.extensions.direct import extension as direct
from chat_actors.extensions.private_rooms import extension as private_rooms
from chat_actors.kernel import ActorEnded, ActorType, handles
from chat_actors.kernel.messages import Failure
from chat_actors.protocol import ExtensionCommand
from chat_actors.testing import MemoryServer, on_virtual_time


class Poke(ExtensionCommand, tag="poke"):
    user_id: str


class Note(msgspec.Struct, frozen=True):
    crash: bool = False


class Desk(Service):
    """Each user has one. The users' desks receive notes, which are no commands."""

    scope = Scope.USER
    linger = 30

    @command()
    def poke(self, caller, poke: Poke):
        self.service(Desk, poke.user_id).tell(Note())

    @handles
    def on_note(self, note: Note) -> None:
        if note.crash:
            raise ValueError("asked to crash")


def services(server, name):
    nodes = [node for node in server.system.tree() if node.path == "/services"]
    return sorted(child.path.rpartition(":")[2] for child in nodes[0].children if name in child.path)


@on_virtual_time
async def test_idle_service_started_by_a_note_ends():
    async with MemoryServer(Extension(name="desks", services=[Desk])) as server:
        ann = await server.connect("ann")
        await ann.send("poke", userId="ben")
        assert services(server, "Desk") == ["ann", "ben"]
        await server.advance(31)
        assert services(server, "Desk") == []


@on_virtual_time
async def test_service_that_receives_notes_stays():
    async with MemoryServer(Extension(name="desks", services=[Desk])) as server:
        ann = await server.connect("ann")
        await ann.send("poke", userId="ben")
        ends = server.listen(ActorEnded)
        for _ in range(5):
            await server.advance(20)
            await ann.send("poke", userId="ben")
        assert services(server, "Desk") == ["ann", "ben"]
        assert [end.path for end in ends if "Desk" in end.path] == []
        await server.advance(31)
        assert services(server, "Desk") == []


@on_virtual_time
async def test_idle_service_ends_after_a_crash():
    class Crashing(Desk):
        @command()
        def poke(self, caller, poke: Poke):
            self.context.self_ref.tell(Note(crash=True))

    async with MemoryServer(Extension(name="desks", services=[Crashing])) as server:
        ann = await server.connect("ann")
        await ann.send("poke", userId="ann")
        await server.advance(1)
        assert services(server, "Crashing") == ["ann"]
        await server.advance(31)
        assert services(server, "Crashing") == []


@on_virtual_time
async def test_invitations_and_direct_actors_end():
    async with MemoryServer(direct, private_rooms) as server:
        users = [f"user-{n}" for n in range(9)]
        for user in users:
            await server.connect(user)
        ann = await server.connect("ann", room="private-den")
        for user in users:
            await ann.send("invite", userId=user)
            await ann.send("direct_send", to=user, content="hello")
        assert services(server, "Invitations") == users
        assert services(server, "Direct") == ["ann", *users]
        await server.advance(65)
        assert services(server, "Invitations") == services(server, "Direct") == []


class Keeper(Bot):
    name = "keeper"
    rooms = ("cage",)

    @handles
    def on_note(self, note: Note) -> None:
        raise ValueError("asked to crash")


def keepers(server):
    (parent,) = [cell for cell in server.system.family if cell.path == "/services"]
    return [cell for cell in parent.family if "Keeper" in cell.path]


def bot_of(server):
    (bot,) = keepers(server)
    return bot.ref


@on_virtual_time
async def test_bot_that_crashes_before_it_rejoins_is_back():
    """The room closes, and the bot crashes within the second before it rejoins."""
    async with MemoryServer(Extension(name="keeper", services=[Keeper])) as server:
        server.system.find(ROOMS, "cage").stop()
        await server.settle()
        assert rooms(server) == []
        bot_of(server).tell(Note(crash=True))
        await server.advance(3)
        assert rooms(server) == ["cage"]
        ben = await server.connect("ben", room="cage")
        await ben.send("members")
        assert ben.expect("members")["members"] == ["bot:keeper", "ben"]


def rooms(server):
    nodes = [node for node in server.system.tree() if node.path == "/rooms"]
    return [child.path.rpartition(":")[2] for child in nodes[0].children]


async def fail_for_good(server):
    for _ in range(6):
        bot_of(server).tell(Note(crash=True))
        await server.advance(2.5)


@on_virtual_time
async def test_failed_bot_is_started_again_with_pauses():
    async with MemoryServer(Extension(name="keeper", services=[Keeper])) as server:
        failed, started = server.listen(events.ServiceFailed), server.listen(events.ServiceStartedAgain)
        bot_of(server)._cell.actor.join("den", hold_open=True)
        for pause in (30, 60, 120):
            await fail_for_good(server)
            assert failed[-1].restart_in == pause
            assert rooms_of_bot(server) == []
            await server.advance(pause + 1)
            assert rooms_of_bot(server) == ["cage", "den"]
        assert len(started) == len(failed) == 3
        await server.advance(601)
        await fail_for_good(server)
        assert failed[-1].restart_in == 30


@on_virtual_time
async def test_bot_started_by_a_command_is_in_its_rooms():
    async with MemoryServer(Extension(name="keeper", services=[Keeper])) as server:
        actor_type = ActorType("keeper.Keeper")
        await fail_for_good(server)
        server.system.get_or_spawn(actor_type, "")
        await server.settle()
        assert rooms_of_bot(server) == ["cage"]


def rooms_of_bot(server):
    return sorted(room for cell in keepers(server) for room in cell.actor.service_state.rooms)


def crash(server, path):
    """Crash an actor that has no message for it."""
    (cell,) = [cell for cell in server.system.family if cell.path == path]
    cell.mailbox.put_system(Failure(ValueError("asked to crash"), ()))


@on_virtual_time
async def test_pause_outlives_a_crash_of_the_services_actor():
    async with MemoryServer(Extension(name="keeper", services=[Keeper])) as server:
        failed, started = server.listen(events.ServiceFailed), server.listen(events.ServiceStartedAgain)
        await fail_for_good(server)
        await server.advance(10)
        left = failed[-1].restart_in - 10 - 2.5
        crash(server, "/services")
        await server.advance(left - 3)
        assert started == []
        await server.advance(6)
        assert len(started) == 1
        assert rooms_of_bot(server) == ["cage"]


@on_virtual_time
async def test_services_actor_that_crashes_still_watches():
    async with MemoryServer(Extension(name="keeper", services=[Keeper])) as server:
        failed = server.listen(events.ServiceFailed)
        crash(server, "/services")
        await server.advance(5)
        await fail_for_good(server)
        assert len(failed) == 1
        await server.advance(31)
        assert rooms_of_bot(server) == ["cage"]


@on_virtual_time
async def test_service_started_by_a_command_is_watched_and_counted_once():
    """It fails again before its pause is over: it is then started once."""
    async with MemoryServer(Extension(name="keeper", services=[Keeper])) as server:
        failed, started = server.listen(events.ServiceFailed), server.listen(events.ServiceStartedAgain)
        await fail_for_good(server)
        server.system.get_or_spawn(ActorType("keeper.Keeper"), "")
        await server.settle()
        await fail_for_good(server)
        assert len(failed) == 2
        assert 0 < failed[-1].restart_in < 30
        await server.advance(40)
        assert len(started) == 1
        assert len(keepers(server)) == 1
        await server.advance(200)
        assert len(started) == 1


@on_virtual_time
async def test_running_service_is_not_started_again():
    """A command has started it during the pause, and it is well."""
    async with MemoryServer(Extension(name="keeper", services=[Keeper])) as server:
        started = server.listen(events.ServiceStartedAgain)
        await fail_for_good(server)
        server.system.get_or_spawn(ActorType("keeper.Keeper"), "")
        await server.advance(60)
        assert started == []
        assert len(keepers(server)) == 1


@on_virtual_time
async def test_stopped_service_is_not_started_again():
    async with MemoryServer(Extension(name="keeper", services=[Keeper])) as server:
        failed = server.listen(events.ServiceFailed)
        bot_of(server).stop()
        await server.advance(60)
        assert failed == []
        assert keepers(server) == []


@on_virtual_time
async def test_pauses_grow_up_to_the_longest():
    async with MemoryServer(Extension(name="keeper", services=[Keeper])) as server:
        failed = server.listen(events.ServiceFailed)
        for _ in range(13):
            await fail_for_good(server)
            await server.advance(failed[-1].restart_in + 1)
        assert [event.restart_in for event in failed] == [30, 60, 120, 240, 480] + [600] * 8


@pytest.mark.parametrize(("path", "status"), [("/fails", 500), ("/hangs", 503), ("/works", 200), ("/none", 404)])
def test_http_answer_of_a_service_that_fails_or_hangs(path, status):
    class Site(Service):
        @endpoint("GET", "/works")
        async def works(self, request) -> HttpResponse:
            return HttpResponse(200)

        @endpoint("GET", "/fails")
        async def fails(self, request) -> HttpResponse:
            raise ValueError("asked to crash")

        @endpoint("GET", "/hangs")
        async def hangs(self, request) -> HttpResponse:
            await anyio.sleep(3600)
            return HttpResponse(200)

    @on_virtual_time
    async def run():
        async with MemoryServer(Extension(name="site", services=[Site])) as server:
            answers = []

            async def ask():
                answers.append((await server.http("GET", f"/site{path}")).status)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask)
                await server.advance(15)
            assert answers == [status]

    run()
