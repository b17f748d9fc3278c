"""One test for each row of the protocol's error table, over a real Hypercorn on HTTP/1.1 and HTTP/2."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from chat_actors.chat import Limits
from chat_actors.client import public_pem
from chat_actors.identity import sign

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("text", ["", "hello", "[]", '"text"', "null", '{"type": "join"', "[" * 5000, "{}x"])
async def test_invalid_json_is_refused(chat, text):
    client = await chat.client()
    await client.peer.send_text(text)
    assert await client.receive() == {"type": "error", "message": "Invalid JSON format", "code": "invalid_json"}
    await client.receives_nothing()


@pytest.mark.parametrize(
    ("frame", "type_text"),
    [({"type": "dance"}, "dance"), ({}, "undefined"), ({"type": None}, "null"), ({"type": 7}, "7")],
)
async def test_unknown_type_is_refused(chat, frame, type_text):
    assert await (await chat.client()).error(**frame) == f"Unknown message type: {type_text}"


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ({"type": "register", "userId": "alice"}, "userId and publicKey are required for register message"),
        ({"type": "register", "publicKey": "x"}, "userId and publicKey are required for register message"),
        ({"type": "register", "userId": 7, "publicKey": "x"}, "userId and publicKey are required for register message"),
        ({"type": "authenticate", "userId": "a"}, "userId and signature are required for authenticate message"),
        ({"type": "authenticate", "signature": "a"}, "userId and signature are required for authenticate message"),
        ({"type": "join"}, "userId is required for join message"),
        ({"type": "join", "roomId": "general"}, "userId is required for join message"),
        ({"type": "chat_message"}, "content is required for chat_message"),
        ({"type": "chat_message", "content": ""}, "content is required for chat_message"),
        ({"type": "chat_message", "content": ["x"]}, "content is required for chat_message"),
        ({"type": "switch_room"}, "roomId is required for switch_room message"),
    ],
)
async def test_missing_field_is_refused(chat, frame, text):
    assert await (await chat.client()).error(**frame) == text


@pytest.mark.parametrize("user_id", ["", "ab", "a" * 33, "with space", "ünïcode", "alice\n", "../etc"])
async def test_invalid_user_id_is_refused(chat, keys, user_id):
    client = await chat.client()
    answer = await client.register(user_id, keys[0])
    assert answer["message"] == "User ID must be 3-32 alphanumeric characters"


async def test_taken_user_id_is_refused(chat, keys):
    client = await chat.client()
    await client.register("alice", keys[0])
    assert (await client.register("alice", keys[1]))["message"] == "User ID already exists"


async def test_unreadable_key_is_refused(chat, keys):
    client = await chat.client()
    pem = public_pem(keys[0])
    for bad in ("", "no key", pem + pem, "junk" + pem, pem.replace("MII", "AAA"), pem + " " * 9000):
        answer = await client.ask(type="register", userId="alice", publicKey=bad)
        assert answer["message"] == "Invalid public key format", bad


async def test_key_that_is_not_rsa_is_refused(chat):
    client = await chat.client()
    assert (await client.register("alice", generate_ec_key(SECP256R1())))["message"] == "Invalid public key format"


async def test_key_with_a_small_exponent_is_refused(chat):
    client = await chat.client()
    answer = await client.register("alice", generate_private_key(3, 2048))
    assert answer["message"] == "Invalid public key format"


async def test_short_key_is_refused(chat):
    client = await chat.client()
    answer = await client.register("alice", generate_private_key(65537, 1024))
    assert answer["message"] == "Public key must be at least 2048 bits"


async def test_login_of_an_unknown_user_is_refused(chat, keys):
    client = await chat.client()
    assert (await client.authenticate("nobody", keys[0]))["message"] == "User not registered"


async def test_login_without_a_challenge_is_refused(chat, keys):
    client = await chat.client()
    await client.register("alice", keys[0])
    text = await client.error(type="authenticate", userId="alice", signature="AAAA")
    assert text == "No challenge issued. Request a challenge first."


async def test_wrong_signature_is_refused(chat, keys):
    client = await chat.client()
    await client.register("alice", keys[0])
    assert (await client.authenticate("alice", keys[1]))["message"] == "Invalid signature"


async def test_undecodable_signature_is_refused(chat, keys):
    client = await chat.client()
    await client.register("alice", keys[0])
    await client.challenge()
    text = await client.error(type="authenticate", userId="alice", signature="*** no base64 ***")
    assert text == "Authentication failed"


async def test_failed_signature_consumes_the_challenge(chat, keys):
    client = await chat.client()
    await client.register("alice", keys[0])
    challenge = await client.challenge()
    wrong = base64.b64encode(b"x" * 256).decode()
    assert await client.error(type="authenticate", userId="alice", signature=wrong) == "Invalid signature"
    text = await client.error(type="authenticate", userId="alice", signature=sign(keys[0], challenge))
    assert text == "No challenge issued. Request a challenge first."


async def test_challenge_is_valid_for_one_login(chat, keys):
    client = await chat.client()
    await client.register("alice", keys[0])
    signature = sign(keys[0], await client.challenge())
    assert (await client.ask(type="authenticate", userId="alice", signature=signature))["type"] == "authenticated"
    text = await client.error(type="authenticate", userId="alice", signature=signature)
    assert text == "No challenge issued. Request a challenge first."


async def test_commands_before_login_are_refused(chat):
    client = await chat.client()
    assert await client.error(type="join", userId="alice") == "Authentication required before joining rooms"
    assert await client.error(type="chat_message", content="x") == "Authentication required"
    assert await client.error(type="switch_room", roomId="x") == "Authentication required"


async def test_join_with_another_user_id_is_refused(chat, keys):
    client = await (await chat.client()).log_in("alice", keys[0])
    assert await client.error(type="join", userId="bob") == "User ID mismatch"


async def test_message_outside_any_room_is_refused(chat, keys):
    client = await (await chat.client()).log_in("alice", keys[0])
    assert await client.error(type="chat_message", content="x") == "Not connected to any room"


@pytest.mark.parametrize("room_id", ["x" * 129, "a\nb", "\x00"])
async def test_invalid_room_id_is_refused(chat, keys, room_id):
    client = await (await chat.client()).log_in("alice", keys[0])
    assert "Room ID must be" in await client.error(type="switch_room", roomId=room_id)


class TestWithLimits:
    @pytest.fixture
    def limits(self):
        return Limits(registrations=5, content_chars=10, message_burst=60, rooms_per_minute=2)

    async def test_sixth_registration_is_refused(self, chat, keys):
        """The limit is checked first, and failed registrations count."""
        client = await chat.client()
        for _ in range(5):
            assert (await client.register("x", keys[0]))["message"] == "User ID must be 3-32 alphanumeric characters"
        too_many = "Too many registration attempts. Please try again later."
        assert (await client.register("alice", keys[0]))["message"] == too_many
        other = await chat.client()
        assert (await other.register("x", keys[0]))["message"] == too_many

    async def test_register_without_fields_is_not_counted(self, chat, keys):
        client = await chat.client()
        for _ in range(6):
            await client.error(type="register")
        assert (await client.register("alice", keys[0]))["type"] == "registered"

    async def test_overlong_content_is_refused(self, chat, keys):
        client = await (await chat.client()).log_in("alice", keys[0], "general")
        assert "at most 10 characters" in await client.error(type="chat_message", content="x" * 11)
        assert (await client.ask(type="chat_message", content="é" * 10))["type"] == "chat_message"

    async def test_frequent_room_changes_are_refused(self, chat, keys):
        client = await (await chat.client()).log_in("alice", keys[0], "one")
        await client.ask(type="switch_room", roomId="two")
        assert "Too many room changes" in await client.error(type="switch_room", roomId="three")
        assert (await client.ask(type="chat_message", content="still here"))["roomId"] == "two"

    async def test_flood_is_answered_with_errors(self, chat):
        client = await chat.client()
        for _ in range(80):
            await client.send(type="get_challenge")
        answers = [(await client.receive())["type"] for _ in range(80)]
        assert answers[:60] == ["challenge"] * 60
        assert "error" in answers[60:]


class TestWithAShortChallenge:
    @pytest.fixture
    def limits(self):
        return Limits(registrations=0, challenge_seconds=1e-9)

    async def test_expired_challenge_is_refused(self, chat, keys):
        client = await chat.client()
        await client.register("alice", keys[0])
        answer = await client.authenticate("alice", keys[0])
        assert answer["message"] == "Challenge expired. Request a new challenge."
