"""The documentation agrees with the code."""

import importlib
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from chat_actors import Bot, Extension, client
from chat_actors.cli.main import main
from chat_actors.extensions.private_rooms import extension as private_rooms
from chat_actors.protocol import Refusal, refusals
from chat_actors.server.settings import SECTIONS
from chat_actors.testing import MemoryServer, on_virtual_time

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize(
    ("key", "default"),
    [
        (f"{section}.{name}", default)
        for section, struct in SECTIONS.items()
        for name, default in zip(struct.__struct_fields__, struct.__struct_defaults__, strict=True)
    ],
)
def test_setting_is_documented_with_its_default(key, default):
    row = re.search(rf"^\| `{key}` \| `(.*?)` \|", (DOCS / "reference/settings.md").read_text(), re.MULTILINE)
    written = tomllib.loads(f"value = {row[1]}")["value"]
    assert (tuple(written) if isinstance(written, list) else written) == default


@pytest.mark.parametrize("refusal", [value for value in vars(refusals).values() if isinstance(value, Refusal)])
def test_error_is_documented(refusal):
    assert f"| `{refusal.code}` | `{refusal.text}` |" in (DOCS / "reference/protocol.md").read_text()


@pytest.mark.parametrize("name", client.__all__)
def test_client_name_is_documented(name):
    assert re.search(rf"\b{name}\b", (DOCS / "reference/client.md").read_text())


def test_python_in_the_documentation_compiles():
    blocks = [
        block
        for page in DOCS.rglob("*.md")
        for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    ]
    assert blocks
    for block in blocks:
        compile(block, "a code block", "exec")


COMMANDS = [
    line
    for page in (DOCS.parent / "README.md", *DOCS.rglob("*.md"))
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if re.search(r"(^|\s|/)chat-actors ", line) and "pip" not in line
]


@pytest.mark.parametrize("line", COMMANDS)
def test_command_line_in_the_documentation_is_valid(line):
    words = shlex.split(line, comments=True)
    name, *arguments = words[[word.rpartition("/")[2] for word in words].index("chat-actors") + 1 :]
    command = main.commands[name]
    while isinstance(command, click.Group) and arguments:
        command = command.commands[arguments.pop(0)]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word.partition("=")[0] for word in arguments if word.startswith("-") and word != "-"} <= options


@on_virtual_time
async def test_documented_actor_tree_is_real():
    class Greeter(Bot):
        name = "greeter"
        rooms = ("lobby",)

    page = (DOCS / "explanation/supervision.md").read_text()
    documented = re.search(r"```text\n(.*?)```", page, re.DOTALL)[1]
    async with MemoryServer(Extension(name="greeter", services=[Greeter]), private_rooms) as server:
        alice = await server.connect("alice", room="general")
        await server.connect("bob", room="private-den")
        await alice.send("invitations")
        assert "".join(draw(server.system.tree())) == documented


def draw(nodes):
    for node in nodes:
        yield f"{node.path.rpartition('/')[2]:<43} {node.actor}\n"
        for n, child in enumerate(node.children, start=1):
            branch = "└─ " if n == len(node.children) else "├─ "
            yield f"{branch + child.path.rpartition('/')[2]:<43} {child.actor}\n"


WALKS = (DOCS / "contributing/walks.md").read_text()
STEPS = re.findall(r"`([\w/]+)\.py`, `([\w.]+)`", WALKS)


@pytest.mark.parametrize(("module", "function"), STEPS)
def test_step_of_a_walk_exists(module, function):
    found = importlib.import_module("chat_actors." + module.replace("/", "."))
    for name in function.split("."):
        found = getattr(found, name)
    assert callable(found)


def test_every_walk_has_steps():
    walks = re.split(r"^## ", WALKS, flags=re.MULTILINE)[1:]
    assert len(walks) == 6
    assert all(re.search(r"`[\w/]+\.py`, `[\w.]+`", walk) for walk in walks)
