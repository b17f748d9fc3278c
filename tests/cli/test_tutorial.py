"""The tutorial on extensions, executed as written: its files, its test, its package in a fresh environment."""

import importlib.util
import json
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import chat_actors
from chat_actors.client import generate_key
from tests.cli.test_commands import INSTALLED, Process
from tests.cli.test_drain import ask, log_in
from tests.patience import PATIENCE
from tests.wire.http1 import open_http1

pytestmark = pytest.mark.anyio
ROOT = Path(chat_actors.__file__).parents[1]
PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "write-an-extension.md"
FILES = re.findall(r"```\w+\n# (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def folder(tmp_path):
    """The folder with all files of the tutorial in their final version."""
    for name, text in FILES:
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def run(folder):
    def run(*arguments):
        environment = {"PATH": "/usr/bin:/bin", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        done = subprocess.run(
            [*map(str, arguments)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize("name", ["party.py", "chat.toml", "test_party.py", "pyproject.toml"])
def test_tutorial_has_every_file(name):
    assert name in dict(FILES)


@pytest.mark.parametrize("step", [text for name, text in FILES if name == "party.py"], ids=["bot", "command", "room"])
def test_step_is_an_extension(step, tmp_path):
    (tmp_path / "step.py").write_text(step)
    specification = importlib.util.spec_from_file_location("step", tmp_path / "step.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    assert module.extension.name == "party"


def test_extension_is_under_sixty_lines():
    assert dict(FILES)["party.py"].strip().count("\n") < 60


def test_tutorials_test_passes(run):
    pytest_program = Path(sysconfig.get_path("scripts"), "pytest")
    assert "1 passed" in run(pytest_program, "-q", "-p", "no:cacheprovider", "test_party.py")


def as_reader(folder):
    """How a reader runs the program: in the folder of the tutorial, without a prepared path."""
    return {"program": INSTALLED, "cwd": folder, "env": {"PYTHONPATH": ""}}


async def play(server):
    """Roll, use the bot and win a point, as a client over a real socket."""
    port = int(re.search(r":(\d+)\s", await server.read_until("to stop"))[1])
    peer = await open_http1(port)
    await log_in(peer, "alice", generate_key(2048), "casino")
    rolled = await ask(peer, type="roll", sides=20, id="1")
    assert rolled["type"] == "rolled"
    assert 1 <= rolled["result"] <= 20
    assert (await ask(peer, type="roll", sides=1))["code"] == "too_few_sides"
    await peer.send_text(json.dumps({"type": "chat_message", "content": "!roll"}))
    assert (await receive(peer))["content"] == "!roll"
    answer = await receive(peer)
    assert answer["userId"] == "bot:dice"
    assert re.fullmatch("alice rolled a [1-6]", answer["content"])
    await peer.send_text(json.dumps({"type": "switch_room", "roomId": "quiz-night"}))
    assert (await receive(peer))["state"] == {"party": {}}
    assert (await receive(peer))["content"] == "How many bits has a byte?"
    await peer.send_text(json.dumps({"type": "chat_message", "content": "8"}))
    assert [(await receive(peer))["content"] for _ in range(2)] == ["8", "alice has 1 points"]
    await peer.aclose()


async def test_score_survives_kill_of_the_server(folder):
    arguments = ("serve", "--bind", "127.0.0.1:0", "--dir", folder / "data", "--extension", "party:extension")
    async with await Process.start(*arguments, **as_reader(folder)) as server:
        await play(server)
        server.process.kill()
        await server.process.wait()
    async with await Process.start(*arguments, **as_reader(folder)) as server:
        port = int(re.search(r":(\d+)\s", await server.read_until("to stop"))[1])
        peer = await open_http1(port)
        await log_in(peer, "benny", generate_key(2048), "casino")
        await peer.send_text(json.dumps({"type": "switch_room", "roomId": "quiz-night"}))
        assert (await receive(peer))["state"] == {"party": {"alice": 1}}
        await peer.aclose()


async def receive(peer):
    return json.loads(await peer.receive_text())


@pytest.mark.parametrize("enabled", [("--extension", "party:extension"), ("--config", "chat.toml")])
async def test_extension_works_on_a_real_server(folder, enabled):
    settings = (folder / "chat.toml").read_text()
    (folder / "chat.toml").write_text(settings.replace(', ["Who wrote the first compiler?", "Grace Hopper"]', ""))
    arguments = ("serve", "--bind", "127.0.0.1:0", "--dir", folder / "data", *enabled)
    async with await Process.start(*arguments, **as_reader(folder)) as server:
        await play(server)


async def test_extension_is_listed_and_checked(folder):
    done = await Process.start("extensions", "--config", "chat.toml", **as_reader(folder))
    assert "party  from party:extension" in (await done.finish())[1]
    code, output = await (await Process.start("check-config", "--config", "chat.toml", **as_reader(folder))).finish()
    assert code == 0
    assert "Grace Hopper" in next(line for line in output.splitlines() if line.startswith("extensions.party.questions"))


@pytest.mark.timeout(300)
async def test_package_works_in_a_fresh_environment(folder, run):
    """Installs a wheel of the server and one of the extension; neither source tree is importable."""
    build = (
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        folder / "wheels",
    )
    run(*build, ROOT)
    run(*build, folder)
    python = folder / "fresh" / "bin" / "python"
    venv.create(folder / "fresh")
    wheels = list((folder / "wheels").glob("*.whl"))
    assert len(wheels) == 2
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps", *wheels)
    # The dependencies of both come from the environment of these tests, which saves installing them again.
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (Path(site) / "requirements.pth").write_text(sysconfig.get_path("purelib"))
    origins = run(python, "-I", "-c", "import chat_actors, party; print(chat_actors.__file__, party.__file__)")
    assert origins.split() == [f"{site}/chat_actors/__init__.py", f"{site}/party.py"]
    program = folder / "fresh" / "bin" / "chat-actors"
    arguments = ("serve", "--bind", "127.0.0.1:0", "--dir", folder / "data", "--extension", "party")
    async with await Process.start(*arguments, program=(program,)) as server:
        await play(server)
