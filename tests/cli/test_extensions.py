"""The documented extension, enabled on a server and used over a real socket."""

import json
import re
import sys
from pathlib import Path

import pytest

from chat_actors.cli.flags import add_current_folder
from chat_actors.client import generate_key
from tests.cli.test_commands import INSTALLED, Process
from tests.cli.test_drain import ask, log_in
from tests.wire.http1 import open_http1

pytestmark = pytest.mark.anyio
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "extensions.md"


@pytest.fixture
def package(tmp_path):
    """How a reader runs the program in the folder of the documented module, which is outside of the source tree."""
    source = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]
    (tmp_path / "my_package.py").write_text(source)
    return {"program": INSTALLED, "cwd": tmp_path, "env": {"PYTHONPATH": ""}}


async def test_documented_extension_works(tmp_path, package):
    arguments = ("serve", "--bind", "127.0.0.1:0", "--dir", tmp_path / "data", "--extension", "my_package:extension")
    async with await Process.start(*arguments, **package) as server:
        port = int(re.search(r":(\d+)\s", await server.read_until("to stop"))[1])
        peer = await open_http1(port)
        await log_in(peer, "alice", generate_key(2048), "shouting-room")
        rolled = await ask(peer, type="roll", sides=20, id="1")
        assert (rolled["type"], rolled["userId"], rolled["id"]) == ("rolled", "alice", "1")
        assert 1 <= rolled["result"] <= 20
        assert (await ask(peer, type="roll", sides=1))["code"] == "too_few_sides"
        assert (await ask(peer, type="chat_message", content="quiet"))["content"] == "QUIET"
        await peer.aclose()


async def test_enabled_extension_is_listed(package):
    code, output = await (await Process.start("extensions", "--extension", "my_package:extension", **package)).finish()
    assert code == 0
    assert "dice  from my_package:extension" in output
    assert "  service Dice, one for the server: roll" in output
    assert "  rooms shouting-*: Shouting" in output


async def test_list_has_bots_endpoints_and_room_kinds(tmp_path):
    (tmp_path / "party.py").write_text(
        "from chat_actors import Bot, Extension\n"
        "class Dice(Bot):\n    name = 'dice'\n"
        "extension = Extension(name='party', services=[Dice])\n"
    )
    shipped = [word for name in ("webhooks", "private_rooms") for word in ("--extension", name)]
    arguments = ("extensions", "--extension", "party:extension", *shipped)
    code, output = await (await Process.start(*arguments, program=INSTALLED, cwd=tmp_path)).finish()
    assert code == 0
    assert "  bot dice Dice, one for the server: no commands" in output
    assert "  endpoint POST /extensions/webhooks/say" in output
    assert "  rooms of a rule of its own, chosen as private: PrivateRoom: guests, invite, uninvite" in output
    assert "polls  from chat_actors.extensions.polls:extension, not switched on" in output


@pytest.mark.parametrize("command", ["serve", "extensions"])
async def test_broken_extension_stops_the_start(tmp_path, package, command):
    (tmp_path / "broken.py").write_text("import no_such_thing\n")
    arguments = (command, "--bind", "127.0.0.1:0", "--dir", tmp_path / "data", "--extension", "broken:extension")
    code, output = await (await Process.start(*arguments, **package)).finish()
    assert code == 1
    assert "the extension 'broken:extension' cannot be imported" in output
    assert "No module named 'no_such_thing'" in output
    assert "Traceback" not in output


def test_documented_wire_examples_are_json():
    for example in re.findall(r"`(\{\"type\".*?\})`", PAGE.read_text().replace("\n", " ")):
        json.loads(example)


@pytest.mark.parametrize("command", ["serve", "check-config", "extensions", "protocol"])
async def test_wrong_declaration_is_one_line(tmp_path, package, command):
    (tmp_path / "broken.py").write_text(
        "from chat_actors import Extension, RoomKind\n"
        "class Quiz(RoomKind):\n"
        "    rooms = '*'\n"
        "    def on_jion(self, user_id): ...\n"
        "extension = Extension(name='broken', room_kinds=[Quiz])\n"
    )
    code, output = await (await Process.start(command, "--extension", "broken:extension", **package)).finish()
    assert code == (2 if command == "check-config" else 1)
    line = "chat-actors: Quiz.on_jion of the extension 'broken': RoomKind has no hook of this name; write on_join, or "
    assert output == line + "_on_jion for a method of your own\n"
    assert not (tmp_path / "chat-data").exists()


def test_current_folder_is_added_only_for_its_modules(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("random.py", "party.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "package").mkdir()
    before = list(sys.path)
    for specs in (("party",), ("random:extension",), ("elsewhere:extension",), ()):
        monkeypatch.setattr(sys, "path", list(before))
        add_current_folder(specs)
        assert sys.path == before
    for specs in (("polls", "party:extension"), ("package.party:extension",)):
        monkeypatch.setattr(sys, "path", list(before))
        add_current_folder(specs)
        assert sys.path == [str(tmp_path), *before]
