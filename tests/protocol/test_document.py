"""The protocol document (AsyncAPI) and the pages made from it match the server."""

import importlib.util
import json
import os
import re
from pathlib import Path

import httpx
import jsonschema
import pytest
from click.testing import CliRunner

from chat_actors.chat import Limits, Storage
from chat_actors.chat.recovery import PAGE_MESSAGES
from chat_actors.chat.room_queries import HISTORY_MESSAGES
from chat_actors.cli.main import main
from chat_actors.client import generate_key, public_pem
from chat_actors.identity import sign
from chat_actors.protocol import RULES, Vocabulary, refusals
from chat_actors.protocol.document import ANSWERS, protocol_document
from chat_actors.server.app import create_app
from chat_actors.server.extension_loading import SHIPPED
from chat_actors.server.settings import ServerSettings, Settings
from chat_actors.storage import MemoryAccounts, MemoryJournal
from chat_actors.storage.journal import PAGE_BYTES
from tests.conformance.conftest import Chat
from tests.wire.live_server import LiveServer, fail_test

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT = protocol_document(Vocabulary(), "0.1.0")


def load_dialogue():
    """The module `docs/draw_dialogue.py`."""
    spec = importlib.util.spec_from_file_location("draw_dialogue", DOCS / "draw_dialogue.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def schema_names(direction):
    """Pairs of `type` and schema name for the messages in one direction: what a client "sends" or "receives"."""
    operations = DOCUMENT["operations"]
    for name, message in DOCUMENT["components"]["messages"].items():
        is_command = operations.get(name, {}).get("action") == "receive"
        if is_command == (direction == "sends"):
            yield message["name"], name


def violation(direction, message):
    """The first violation of the schema of a message, or None."""
    name = dict(schema_names(direction))[message["type"]]
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return next((error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(message)), None)


def test_every_message_has_description_and_example():
    assert set(ANSWERS) == set(RULES)
    for direction in ("sends", "receives"):
        for _, name in schema_names(direction):
            message = DOCUMENT["components"]["messages"][name]
            assert message["summary"], name
            assert violation(direction, message["examples"][0]["payload"]) is None
            for field, schema in DOCUMENT["components"]["schemas"][name]["properties"].items():
                text = json.dumps(schema, ensure_ascii=False)
                assert field in {"type", "messages"} or "description" in text, (name, field)


def test_document_lists_errors_and_states():
    codes = {(error["code"], error["message"]) for error in DOCUMENT["x-errors"]}
    assert (refusals.NOT_IN_ROOM.code, refusals.NOT_IN_ROOM.text) in codes
    assert {code for code, _ in codes} >= {"invalid_json", "busy", "room_closed"}
    assert DOCUMENT["operations"]["Post"]["x-states"] == {
        "connected": {"code": "not_authenticated", "message": "Authentication required"},
        "authenticated": {"code": "not_in_room", "message": "Not connected to any room"},
        "no_current_room": {"code": "no_current_room", "message": "There is no current room. Name a roomId."},
        "in_room": True,
    }


@pytest.mark.skipif("ASYNCAPI_SCHEMA" not in os.environ, reason="ASYNCAPI_SCHEMA names no schema")
def test_document_is_valid_asyncapi():
    schema = json.loads(Path(os.environ["ASYNCAPI_SCHEMA"]).read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(DOCUMENT)] == []
    broken = {**DOCUMENT, "operations": {"x": {"action": "shout"}}}
    assert not validator.is_valid(broken)


def test_document_states_the_default_limits():
    schemas = DOCUMENT["components"]["schemas"]
    assert f" {Limits().content_chars:,} characters" in schemas["Post"]["properties"]["content"]["description"]
    page = schemas["ReadHistory"]["properties"]["limit"]["description"]
    assert f": {HISTORY_MESSAGES} without it" in page
    assert f" {PAGE_MESSAGES} and about {PAGE_BYTES >> 10} KiB" in page


def test_every_reference_in_the_document_resolves():
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DOCUMENT)):
        found = DOCUMENT
        for part in reference.split("/"):
            found = found[part]


def test_message_page_is_current():
    """With the shipped extensions, whose commands and messages are thereby documented."""
    flags = [word for name in sorted(SHIPPED) for word in ("--extension", name)]
    page = CliRunner().invoke(main, ["protocol", "--markdown", *flags]).output
    assert (DOCS / "reference/messages.md").read_text() == page


def test_dialogue_picture_is_current():
    assert (DOCS / "images/dialogue.svg").read_text() == load_dialogue().draw_svg()


def test_protocol_command_includes_extensions():
    printed = json.loads(CliRunner().invoke(main, ["protocol", "--extension", "polls"]).output)
    vote = printed["operations"]["extension.poll_vote"]
    assert vote["x-owner"] == "the extension 'polls'"
    assert vote["x-states"]["authenticated"]["code"] == "not_in_room"
    assert set(printed["components"]["schemas"]["extension.poll_vote"]["required"]) == {"type", "pollId", "option"}
    page = CliRunner().invoke(main, ["protocol", "--markdown", "--extension", "polls"]).output
    assert "### `poll_vote`" in page


def test_protocol_command_rejects_unknown_extensions():
    done = CliRunner().invoke(main, ["protocol", "--extension", "nonsense"])
    assert done.exit_code == 1
    assert "nonsense" in done.output


class TestWithRealServer:
    pytestmark = pytest.mark.anyio

    @pytest.fixture
    async def chat(self):
        settings = Settings(server=ServerSettings(extensions=("polls",)))
        storage = Storage(MemoryAccounts(), MemoryJournal())
        async with LiveServer(create_app(settings, on_failure=fail_test, storage=storage)) as server:
            chat = Chat("http1", server)
            yield chat
            await chat.aclose()

    async def test_document_is_served_with_an_etag(self, chat):
        url = f"http://127.0.0.1:{chat.server.port}/protocol.json"
        async with httpx.AsyncClient() as client:
            answer = await client.get(url)
            again = await client.get(url, headers={"if-none-match": answer.headers["etag"]})
        assert answer.status_code == 200
        assert again.status_code == 304
        assert answer.headers["content-type"] == "application/json"
        served = answer.json()
        assert "extension.poll_open" in served["operations"]
        assert served["components"]["schemas"]["Joined"] == DOCUMENT["components"]["schemas"]["Joined"]

    async def test_dialogue_of_the_picture_matches_the_server(self, chat):
        dialogue = load_dialogue()
        key = generate_key(2048)
        clients = {dialogue.ALICE: await chat.client(), dialogue.BOB: await chat.client()}
        await clients[dialogue.BOB].log_in(dialogue.BOB, generate_key(2048))
        received = {}
        for step in dialogue.DIALOGUE:
            if step.direction == "sends":
                values = {
                    "userId": step.client,
                    "publicKey": public_pem(key),
                    "signature": sign(key, received["challenge"]["challenge"]) if "challenge" in received else None,
                    "roomId": "garden" if step.type == "switch_room" else "lobby",
                    "content": "Hello!",
                }
                fields = step.fields.split(", ") if step.fields else []
                message = {"type": step.type, **{field: values[field] for field in fields}}
                assert violation("sends", message) is None
                await clients[step.client].send(**message)
            else:
                message = await clients[step.client].receive()
                received[message["type"]] = message
                assert message["type"] == step.type
                assert {*step.fields.split(", ")} == {*message} - {"type"}
                assert violation("receives", message) is None

    async def test_messages_of_the_server_match_the_schemas(self, chat):
        client = await (await chat.client()).log_in("alice", generate_key(2048), "lobby")
        for message in (
            {"type": "chat_message", "content": "Hello!", "clientMsgId": "m1", "id": "1"},
            {"type": "members", "id": "2"},
            {"type": "history", "limit": 10, "id": "3"},
            {"type": "ping", "id": "4"},
            {"type": "join", "userId": "alice", "roomId": "lobby", "since": 0, "id": "5"},
            {"type": "leave", "id": "6"},
            {"type": "chat_message", "content": "too late", "id": "7"},
        ):
            assert violation("sends", message) is None
            await client.send(**message)
            while True:
                answer = await client.receive()
                assert violation("receives", answer) is None, answer
                if answer.get("id") == message["id"]:
                    break
        assert answer["code"] == "not_in_room"


@pytest.mark.parametrize(
    ("direction", "message"),
    [
        ("sends", {"type": "register", "userId": "alice"}),
        ("sends", {"type": "join", "userId": 7}),
        ("sends", {"type": "history", "before": -1}),
        ("receives", {"type": "chat_message", "userId": "alice", "roomId": "lobby", "content": "x", "timestamp": "t"}),
        ("receives", {"type": "members", "roomId": "lobby", "members": ["a"], "count": "1"}),
    ],
)
def test_schemas_reject_invalid_messages(direction, message):
    assert violation(direction, message) is not None
