"""Part 1 of the protocol, message by message, over a real Hypercorn on HTTP/1.1 and HTTP/2."""

import base64
import json
import re
import shutil

import anyio
import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from chat_actors.client import public_pem

pytestmark = pytest.mark.anyio


async def test_dialogue_of_part_one_has_the_fixed_texts(chat, keys):
    alice, bob = await chat.client("/"), await chat.client("/ws")

    assert await alice.register("alice", keys[0]) == {
        "type": "registered",
        "userId": "alice",
        "message": "Registration successful",
    }
    challenge = await alice.ask(type="get_challenge")
    assert list(challenge) == ["type", "challenge"]
    assert len(base64.b64decode(challenge["challenge"], validate=True)) == 32
    assert await alice.authenticate("alice", keys[0]) == {
        "type": "authenticated",
        "userId": "alice",
        "message": "Authentication successful",
    }
    await bob.log_in("bob", keys[1])

    assert await alice.ask(type="join", userId="alice", roomId="general") == {
        "type": "joined",
        "roomId": "general",
        "userId": "alice",
        "message": "Joined room: general",
    }
    assert (await bob.ask(type="join", userId="bob", roomId="general"))["type"] == "joined"
    assert await alice.receive() == {
        "type": "user_joined",
        "userId": "bob",
        "roomId": "general",
        "message": "bob joined the room",
    }

    message = await bob.ask(type="chat_message", content="hello, Ünïcode 👋")
    assert message == await alice.receive()
    assert list(message) == ["type", "userId", "roomId", "content", "timestamp", "seq"]
    assert (message["type"], message["userId"], message["roomId"]) == ("chat_message", "bob", "general")
    assert message["content"] == "hello, Ünïcode 👋"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message["timestamp"])

    assert await bob.ask(type="switch_room", roomId="private") == {
        "type": "joined",
        "roomId": "private",
        "userId": "bob",
        "message": "Joined room: private",
    }
    assert await alice.receive() == {
        "type": "user_left",
        "userId": "bob",
        "roomId": "general",
        "message": "bob left the room",
    }
    assert (await alice.ask(type="switch_room", roomId="private"))["type"] == "joined"
    assert (await bob.receive())["type"] == "user_joined"

    await alice.peer.close()
    assert await bob.receive() == {
        "type": "user_left",
        "userId": "alice",
        "roomId": "private",
        "message": "alice left the room",
    }
    await bob.receives_nothing()


async def test_join_without_room_id_uses_the_user_id(chat, keys):
    alice = await (await chat.client()).log_in("alice", keys[0])
    assert (await alice.ask(type="join", userId="alice"))["roomId"] == "alice"


async def test_seq_increases_across_closing_of_the_room(chat, keys):
    """Numbers continue after the room actor has stopped and started again."""
    alice = await (await chat.client()).log_in("alice", keys[0], "general")
    seqs = [(await alice.ask(type="chat_message", content=str(n)))["seq"] for n in range(3)]
    await alice.ask(type="switch_room", roomId="elsewhere")
    await alice.ask(type="switch_room", roomId="general")
    seqs.append((await alice.ask(type="chat_message", content="again"))["seq"])
    assert seqs == sorted(set(seqs))


async def test_two_connections_of_a_user_are_one_member(chat, keys):
    first = await (await chat.client()).log_in("alice", keys[0], "general")
    bob = await (await chat.client()).log_in("bob", keys[1], "general")
    assert (await first.receive())["type"] == "user_joined"
    second = await chat.client()
    await second.authenticate("alice", keys[0])
    assert (await second.ask(type="join", userId="alice", roomId="general"))["type"] == "joined"
    await bob.receives_nothing()

    await bob.send(type="chat_message", content="to both")
    for client in (first, second, bob):
        assert (await client.receive())["content"] == "to both"

    await second.peer.close()
    await bob.receives_nothing()
    await first.peer.close()
    assert (await bob.receive())["type"] == "user_left"


@pytest.mark.parametrize("ending", ["abort", "half_close"])
async def test_disconnect_without_close_sends_one_user_left(chat, keys, ending):
    alice = await (await chat.client()).log_in("alice", keys[0], "general")
    bob = await (await chat.client()).log_in("bob", keys[1], "general")
    await alice.receive()
    await getattr(alice.peer, ending)()
    assert (await bob.receive())["type"] == "user_left"
    await bob.receives_nothing()


async def test_frames_before_a_close_are_handled(chat, keys):
    alice = await (await chat.client()).log_in("alice", keys[0], "general")
    bob = await (await chat.client()).log_in("bob", keys[1], "general")
    await alice.receive()
    for n in range(40):
        await alice.send(type="chat_message", content=str(n))
    await alice.peer.send_frame(0x8, b"\x03\xe8")
    assert [(await bob.receive())["content"] for _ in range(40)] == [str(n) for n in range(40)]
    assert (await bob.receive())["type"] == "user_left"


def _signatures(key, challenge):
    raw = base64.b64decode(challenge)
    for message in (raw, challenge.encode()):
        yield key.sign(message, padding.PKCS1v15(), SHA256())
        for salt in (padding.PSS.DIGEST_LENGTH, padding.PSS.MAX_LENGTH):
            yield key.sign(message, padding.PSS(padding.MGF1(SHA256()), salt), SHA256())


@pytest.mark.parametrize("form", range(6))
async def test_each_signature_form_authenticates(chat, keys, form):
    alice = await chat.client()
    await alice.register("alice", keys[0])
    signature = list(_signatures(keys[0], await alice.challenge()))[form]
    text = base64.urlsafe_b64encode(signature).decode().rstrip("=")
    assert (await alice.ask(type="authenticate", userId="alice", signature=text))["type"] == "authenticated"


async def test_pkcs1_public_key_registers(chat, keys):
    alice = await chat.client()
    pem = keys[0].public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()
    assert (await alice.ask(type="register", userId="alice", publicKey=pem))["type"] == "registered"
    assert (await alice.authenticate("alice", keys[0]))["type"] == "authenticated"


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
@pytest.mark.parametrize("pss", [False, True])
async def test_signature_made_by_node_authenticates(chat, keys, pss):
    alice = await chat.client()
    await alice.register("alice", keys[0])
    script = """
    const crypto = require("crypto");
    const { pem, challenge, pss } = JSON.parse(require("fs").readFileSync(0));
    const key = pss ? { key: pem, padding: crypto.constants.RSA_PKCS1_PSS_PADDING } : pem;
    console.log(crypto.sign("sha256", Buffer.from(challenge, "base64"), key).toString("base64"));
    """
    pem = keys[0].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    request = json.dumps({"pem": pem, "challenge": await alice.challenge(), "pss": pss})
    node = await anyio.run_process(["node", "-e", script], input=request.encode())
    answer = await alice.ask(type="authenticate", userId="alice", signature=node.stdout.decode().strip())
    assert answer["type"] == "authenticated"


async def test_public_pem_is_one_block(keys):
    assert public_pem(keys[0]).count("BEGIN PUBLIC KEY") == 1
