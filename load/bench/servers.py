"""The servers that are compared: how each is started, what it needs, and what its clients speak."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from load.bench.dialects import ChatActors, Dialect, Plain, SocketIO
from load.keys import Key

Speaks = Literal["chat_actors", "plain", "socket.io"]

OURS = "chat_actors"
"""Everything else is compared with this one."""

ROOT = Path(__file__).parents[2]
_NODE_SOURCES = Path(__file__).parent / "peers" / "node"
_INSTALL = "pip install '.[bench]'"


@dataclass(frozen=True)
class Kind:
    """One server. In `command`, PYTHON, PORT, DATA and NODE are replaced when it is started."""

    name: str
    title: str
    speaks: Speaks
    command: Sequence[str]
    packages: Sequence[str]
    """Distributions (npm packages where it runs on Node) that it cannot do without, and whose versions count."""
    environ: Mapping[str, str] = field(default_factory=dict)
    is_node: bool = False


# All of our limits hold but those on how often one client, or one address, may do something: here all come from one.
_LIMITS_OFF = {
    "CHAT_ACTORS_LIMITS__MESSAGES_PER_SECOND": "0",
    "CHAT_ACTORS_LIMITS__REGISTRATIONS": "0",
    "CHAT_ACTORS_LIMITS__CONNECTIONS_PER_IP": "0",
    "CHAT_ACTORS_DATA__DIR": "DATA",
    "CHAT_ACTORS_DATA__JOURNAL": "off",  # the others store nothing
}
_SERVE = ("PYTHON", "-c", "from chat_actors.cli.main import main; main()", "serve", "--bind", "127.0.0.1:PORT")


def _peer(module: str) -> tuple[str, ...]:
    return ("PYTHON", "-m", f"load.bench.peers.{module}", "PORT")


KINDS: tuple[Kind, ...] = (
    Kind(
        OURS,
        "chat_actors (chat-actors serve)",
        "chat_actors",
        _SERVE,
        ("chat-actors", "hypercorn", "quart"),
        _LIMITS_OFF,
    ),
    Kind(
        "chat_actors-journal",
        "chat_actors, each message stored in SQLite",
        "chat_actors",
        _SERVE,
        ("chat-actors", "hypercorn", "quart"),
        {**_LIMITS_OFF, "CHAT_ACTORS_DATA__JOURNAL": "sqlite"},
    ),
    Kind(
        "chat_actors-disk",
        "chat_actors, each message on the disk",
        "chat_actors",
        _SERVE,
        ("chat-actors", "hypercorn", "quart"),
        {**_LIMITS_OFF, "CHAT_ACTORS_DATA__JOURNAL": "sqlite", "CHAT_ACTORS_DATA__DURABILITY": "disk"},
    ),
    Kind(
        "chat_actors-uvloop",
        "chat_actors (hypercorn -k uvloop)",
        "chat_actors",
        (
            *("PYTHON", "-m", "hypercorn", "--worker-class", "uvloop", "--workers", "0"),
            *("--bind", "127.0.0.1:PORT", "chat_actors.server.asgi:app"),
        ),
        ("chat-actors", "hypercorn", "quart", "uvloop"),
        _LIMITS_OFF,
    ),
    Kind("websockets", "websockets broadcast()", "plain", _peer("websockets_room"), ("websockets",)),
    Kind(
        "starlette",
        "Starlette on uvicorn",
        "plain",
        _peer("starlette_room"),
        ("starlette", "uvicorn", "uvloop", "httptools"),
    ),
    Kind("picows", "picows", "plain", _peer("picows_room"), ("picows", "uvloop")),
    Kind(
        "python-socketio",
        "python-socketio on uvicorn",
        "socket.io",
        _peer("socketio_room"),
        ("python-socketio", "uvicorn", "uvloop", "httptools", "orjson"),
    ),
    Kind("socketify", "socketify (uWebSockets)", "plain", _peer("socketify_room"), ("socketify",)),
    Kind("ws", "Node ws", "plain", ("node", "NODE/ws_room.js", "PORT"), ("ws",), is_node=True),
    Kind(
        "socket.io",
        "Node socket.io",
        "socket.io",
        ("node", "NODE/socketio_room.js", "PORT"),
        ("socket.io",),
        is_node=True,
    ),
)


class Missing(Exception):
    """A server cannot be run here, and what to do about it."""

    def __init__(self, name: str, what: str, remedy: str) -> None:
        self.name = name
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.name} is skipped: {self.what}; {self.remedy}"


def versions_of(kind: Kind, node_folder: Path) -> dict[str, str]:
    """The version of each package that it needs. Raises `Missing`."""
    if kind.is_node:
        return _node_versions(kind, node_folder)
    versions = {}
    for package in kind.packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            raise Missing(kind.name, f"{package} is not installed", _INSTALL) from None
    return versions


def install_node_peers(folder: Path) -> None:
    """Have npm install what the peers on Node need into this folder, once. Raises `Missing`."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return  # `versions_of` says so
    folder.mkdir(parents=True, exist_ok=True)
    for source in (*_NODE_SOURCES.glob("*.js"), _NODE_SOURCES / "package.json"):
        shutil.copy(source, folder)
    if (folder / "node_modules").is_dir():
        return
    command = ("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--omit=dev")
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)  # noqa: S603 - fixed words
    except (subprocess.SubprocessError, OSError) as error:
        raise Missing("node", f"npm could not install its packages ({error})", f"try it in {folder}") from error


def command_of(kind: Kind, port: int, data: Path, node_folder: Path) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment that start it."""
    values = {"PYTHON": sys.executable, "PORT": str(port), "DATA": str(data), "NODE": str(node_folder)}

    def filled(text: str) -> str:
        for name, value in values.items():
            text = text.replace(name, value)
        return text

    search = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environ = {"PYTHONPATH": os.pathsep.join(search), "NODE_ENV": "production"}
    environ |= {key: value.replace("DATA", values["DATA"]) for key, value in kind.environ.items()}
    return [filled(part) for part in kind.command], environ


def dialect_of(kind: Kind, keys: Sequence[Key]) -> Dialect:
    match kind.speaks:
        case "chat_actors":
            return ChatActors(keys)
        case "plain":
            return Plain()
        case "socket.io":
            return SocketIO()


def _node_versions(kind: Kind, folder: Path) -> dict[str, str]:
    node = shutil.which("node")
    if node is None:
        raise Missing(kind.name, "Node is not installed", "install node and npm")
    shown = subprocess.run((node, "--version"), capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    versions = {"node": shown.stdout.strip().lstrip("v")}
    for package in kind.packages:
        manifest = folder / "node_modules" / package / "package.json"
        if not manifest.is_file():
            raise Missing(kind.name, f"{package} is not installed", f"npm install in {folder}")
        versions[package] = json.loads(manifest.read_text())["version"]
    return versions
