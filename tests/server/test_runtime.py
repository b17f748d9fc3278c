import anyio
import pytest

from chat_actors.chat import ROOMS, Admit, Peer, QueueOutbox, RoomActor, Storage
from chat_actors.chat.members import Member
from chat_actors.chat.registrar import RegisterUser
from chat_actors.chat.room_messages import JoinRoom, PostToRoom
from chat_actors.kernel import KernelError, SystemFailed, handles
from chat_actors.kernel.messages import Failure
from chat_actors.kernel.testing import virtual_asyncio
from chat_actors.protocol import decode_message, messages
from chat_actors.server.runtime import Runtime
from chat_actors.server.settings import Settings
from chat_actors.storage import MemoryAccounts

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return virtual_asyncio()


class BrokenAccounts(MemoryAccounts):
    """Raises what no adapter may raise."""

    async def key_of(self, user_id):
        raise ValueError("a bug in the storage")


async def test_repeated_core_failure_ends_the_server(caplog):
    failures = []
    runtime = Runtime(Settings(), on_failure=failures.append, storage=Storage(BrokenAccounts()))
    await runtime.start()
    registrar = next(cell.ref for cell in runtime.system.family if cell.path == "/registrar")
    for n in range(6):
        with pytest.raises(KernelError):
            await registrar.ask(RegisterUser("alice", "a key", f"192.0.2.{n}"), timeout=60)
    await runtime.system.wait_stopped()
    await anyio.wait_all_tasks_blocked()
    (group,) = failures
    assert isinstance(group.exceptions[0], SystemFailed)
    assert group.exceptions[0].path == "/registrar"
    assert "the actor system has failed, so the server stops" in caplog.text
    await runtime.stop(within=1)


async def test_stop_is_idempotent_also_before_the_start():
    runtime = Runtime(Settings(), on_failure=lambda error: None, storage=Storage(MemoryAccounts()))
    await runtime.stop(within=1)
    await runtime.start()
    await runtime.stop(within=1)
    await runtime.stop(within=1)


class Stopping:
    """A transport whose server begins to stop when `begun` is set."""

    def __init__(self):
        self.begun = anyio.Event()
        self.drain_seconds = 3.0

    @property
    def wait_draining(self):
        return self.begun.wait


async def let_in(runtime, address="192.0.2.1"):
    outbox = QueueOutbox(0)
    hosted = await runtime.chat.gate.ask(Admit(Peer(address, outbox)), timeout=5)
    runtime.system.start_task(hosted.run)
    return outbox


async def test_one_connection_starts_the_drain_for_all(runtime):
    control = Stopping()
    for _ in range(3):
        runtime.drain_with(control)
    outboxes = [await let_in(runtime) for _ in range(3)]
    control.begun.set()
    await anyio.wait_all_tasks_blocked()
    assert [outbox.closing.reason for outbox in outboxes] == [f"retry after {n}" for n in (100, 200, 300)]


async def test_drain_delivers_queued_messages_first(runtime):
    control = Stopping()
    runtime.drain_with(control)
    await anyio.wait_all_tasks_blocked()
    room = runtime.system.get_or_spawn(ROOMS, "red")
    outboxes = []
    for n in range(3):
        outbox = QueueOutbox(0)
        hosted = await runtime.chat.gate.ask(Admit(Peer("192.0.2.1", outbox)), timeout=5)
        runtime.system.start_task(hosted.run)
        await room.send(JoinRoom(Member(hosted.ref, f"user-{n}", outbox)))
        outboxes.append(outbox)
    control.begun.set()
    for n in range(900):
        room.tell(PostToRoom(hosted.ref, str(n)))
    await anyio.wait_all_tasks_blocked()
    for outbox in outboxes:
        assert outbox.closing.code == 1012
        received = [decode_message(text) for block in outbox._blocks for text in block.texts]
        posted = [message.content for message in received if isinstance(message, messages.ChatMessage)]
        assert posted == [str(n) for n in range(900)]


async def test_drain_waits_for_a_crashed_gate(runtime):
    control = Stopping()
    runtime.drain_with(control)
    outbox = await let_in(runtime)
    runtime.chat.gate._cell.mailbox.put_system(Failure(ValueError("a bug in the gate")))
    control.begun.set()
    await anyio.sleep(1)
    assert runtime.system.statistics().restarts == 1
    assert outbox.closing.reason == "retry after 100"


async def test_stuck_room_delays_the_drain_by_one_second():
    class Stuck(RoomActor):
        stop_within = 0.1

        @handles
        async def post(self, message: PostToRoom) -> None:
            await anyio.sleep_forever()

    runtime = Runtime(Settings(), on_failure=lambda error: None, storage=Storage(MemoryAccounts()), room=Stuck)
    await runtime.start()
    control = Stopping()
    runtime.drain_with(control)
    outbox = await let_in(runtime)
    for _ in range(2):
        runtime.system.get_or_spawn(ROOMS, "red").tell(PostToRoom(runtime.chat.gate, "x"))
    control.begun.set()
    with anyio.fail_after(1.5):
        await outbox.wait_closed()
    await runtime.stop(within=5)


async def test_drain_after_a_system_failure_ends_at_once(runtime, caplog):
    control = Stopping()
    runtime.drain_with(control)
    outbox = await let_in(runtime)
    await anyio.wait_all_tasks_blocked()
    runtime.system.fail("/registrar", ValueError("a bug"))
    control.begun.set()
    await runtime.system.wait_stopped()
    with anyio.fail_after(0.5):
        await runtime.stop(within=5)
    assert outbox.closing.code == 1012


async def test_system_failure_during_a_drain_delays_nothing(runtime, caplog):
    control = Stopping()
    runtime.drain_with(control)
    outboxes = [await let_in(runtime, f"198.51.100.{n}") for n in range(250)]
    control.begun.set()
    while not outboxes[0].closing:
        await anyio.lowlevel.checkpoint()
    runtime.system.fail("/registrar", ValueError("a bug"))
    with anyio.fail_after(0.5):
        await runtime.stop(within=5)
    assert {outbox.closing.code for outbox in outboxes} == {1012}
    assert len({outbox.closing.reason for outbox in outboxes}) == 250
