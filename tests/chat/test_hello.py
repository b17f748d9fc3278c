"""`hello`, the order of the checks of a command, and the ids of errors."""

import anyio
import msgspec
import pytest

from chat_actors.chat import Enabled, Extension, Extensions
from chat_actors.chat.welcome import CORE_FEATURES
from chat_actors.kernel.testing import RunningSystem
from chat_actors.protocol import CloseCode
from tests.chat.rig import NO_LIMITS, MemoryChat, errors
from tests.chat.test_several_rooms import exchange

pytestmark = pytest.mark.anyio


async def test_hello_tells_what_the_server_offers():
    async with RunningSystem() as system:
        chat = MemoryChat(
            system,
            limits=msgspec.structs.replace(NO_LIMITS, frame_bytes=20_000),
            extensions=Extensions([Enabled(Extension(name="guarded"))]),
        )
        client = await chat.connect()
        (welcome,) = await exchange(system, client, {"type": "hello", "protocol": 7, "features": ["?"], "id": "q"})
        assert (welcome.server, welcome.protocol, welcome.request_id) == ("chat_actors", 3, "q")
        assert list(welcome.features) == [*CORE_FEATURES, "guarded"]
        assert (welcome.limits.frame_bytes, welcome.limits.rooms_per_connection) == (20_000, 50)


async def test_hello_of_an_older_client_is_answered_with_its_part():
    async with RunningSystem() as system:
        client = await MemoryChat(system).connect()
        older, silent = await exchange(system, client, {"type": "hello", "protocol": 2}, {"type": "hello"})
        assert (older.protocol, silent.protocol) == (2, 3)


async def test_hello_does_not_extend_the_time_without_a_login():
    async with RunningSystem() as system:
        limits = msgspec.structs.replace(NO_LIMITS, unauthenticated_seconds=10)
        client = await MemoryChat(system, limits=limits).connect()
        for _ in range(4):
            await anyio.sleep(3)
            client.deliver(type="hello")
        assert client.outbox.closing.code is CloseCode.NOT_AUTHENTICATED


@pytest.mark.parametrize("field", [{"roomId": 7}, {"clientMsgId": 7}, {"clientMsgId": ""}, {"id": 7}, {"id": "x" * 65}])
async def test_login_is_checked_before_optional_fields(field):
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        stranger, ann = await chat.connect(), await chat.log_in("ann", "red")
        sent = {"type": "chat_message", "content": "hi", **field}
        assert errors(await exchange(system, stranger, sent)) == [("not_authenticated", None)]
        ((code, _),) = errors(await exchange(system, ann, sent))
        assert code in {"invalid_field", "invalid_client_msg_id", "invalid_id"}


async def test_command_over_the_rate_is_refused_with_its_id():
    async with RunningSystem() as system:
        limits = msgspec.structs.replace(NO_LIMITS, messages_per_second=1, message_burst=1)
        client = await MemoryChat(system, limits=limits).connect()
        sent = [{"type": "ping", "id": "1"}, {"type": "ping", "id": "2"}, {"type": "ping"}]
        assert errors(await exchange(system, client, *sent)) == [
            ("too_many_messages", "2"),
            ("too_many_messages", None),
        ]
