"""Registration and authentication when the storage or the registrar fails."""

import logging

import pytest

from chat_actors.client import public_pem
from chat_actors.identity import sign
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.storage import StorageError
from tests.chat.rig import KEY, MemoryChat, errors, summaries

pytestmark = pytest.mark.anyio
FAILS = StorageError("read accounts", "a test", "the disk fails", "replace it")


async def ask(system, client, **command):
    client.deliver(**command)
    await settle(system)
    return client.hear()


def register(user_id, key=None):
    return {"type": "register", "userId": user_id, "publicKey": key or public_pem(KEY), "id": "q"}


async def fails(*_):
    raise FAILS


@pytest.fixture(autouse=True)
def _log_errors(caplog):
    caplog.set_level(logging.ERROR, "chat_actors.chat")


@pytest.mark.parametrize("call", ["key_of", "register"])
async def test_storage_failure_refuses_a_registration(call, caplog):
    """The next registration is tried again."""
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        client, works = await chat.connect(), getattr(chat.accounts, call)
        setattr(chat.accounts, call, fails)
        assert errors(await ask(system, client, **register("ann"))) == [("internal_failure", "q")]
        assert caplog.messages == [f"registration refused: {FAILS}"]
        setattr(chat.accounts, call, works)
        assert summaries(await ask(system, client, **register("ann"))) == ["Registered"]


async def test_registration_refuses_taken_names_and_bad_keys():
    """The error of a taken name takes precedence."""
    async with RunningSystem() as system:
        client = await MemoryChat(system).connect()
        codes = [errors(await ask(system, client, **register("ann", key))) for key in ("no key", None, None, "no key")]
    assert codes == [[("invalid_public_key", "q")], [], [("user_exists", "q")], [("user_exists", "q")]]


async def test_name_taken_meanwhile_is_refused():
    """Another server on the same storage has just registered it."""
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        client = await chat.connect()
        await ask(system, client, **register("ann"))

        async def no_key(user_id):
            return None

        chat.accounts.key_of = no_key
        assert errors(await ask(system, client, **register("ann"))) == [("user_exists", "q")]


async def test_stopped_registrar_refuses_a_registration():
    async with RunningSystem() as system:
        client = await MemoryChat(system).connect()
        (registrar,) = [cell for cell in system.family.with_ending() if cell.path == "/registrar"]
        registrar.ref.stop()
        await registrar.ref.wait_stopped()
        assert errors(await ask(system, client, **register("ann"))) == [("internal_failure", "q")]


async def authenticate(system, client, signature=None, **fields):
    (challenge,) = await ask(system, client, type="get_challenge")
    signature = sign(KEY, challenge.challenge) if signature is None else signature
    command = {"type": "authenticate", "userId": "ann", "signature": signature, "id": "q"} | fields
    return command, await ask(system, client, **command)


async def test_storage_failure_refuses_an_authentication(caplog):
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        await chat.log_in("ann")
        client, works = await chat.connect(), chat.accounts.key_of
        chat.accounts.key_of = fails
        _, received = await authenticate(system, client)
        assert errors(received) == [("internal_failure", "q")]
        assert caplog.messages == [f"authentication refused: {FAILS}"]
        chat.accounts.key_of = works
        _, received = await authenticate(system, client)
        assert summaries(received) == ["Authenticated"]


async def test_challenge_is_valid_for_one_attempt():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        await chat.log_in("ann")
        client, codes = await chat.connect(), []
        for signature in ("AAAA", "not base64!"):
            command, received = await authenticate(system, client, signature)
            codes += errors(received)
            codes += errors(await ask(system, client, **command))
    assert [code for code, _ in codes] == [
        "invalid_signature",
        "no_challenge",
        "authentication_failed",
        "no_challenge",
    ]
