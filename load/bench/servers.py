"""The compared servers: how to start each, the packages that it needs, and the dialect of its clients."""

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

from load.bench.dialects import ChatActors, Dialect, PlainJson, SocketIO
from load.keys import Key

DialectName = Literal["chat_actors", "plain", "socket.io"]

OURS = "chat_actors"
"""The server with which all others are compared."""

ROOT = Path(__file__).parents[2]
_NODE_SOURCES = Path(__file__).parent / "peers" / "node"
_INSTALL = "pip install '.[bench]'"


@dataclass(frozen=True)
class ServerSpec:
    """A server to compare. PYTHON, PORT, DATA and NODE in `command`, and DATA in `environ`, are placeholders."""

    name: str
    title: str
    dialect: DialectName
    command: Sequence[str]
    packages: Sequence[str]
    """Required distributions (npm packages if it runs on Node), whose versions appear in the report."""
    environ: Mapping[str, str] = field(default_factory=dict)
    is_node: bool = False


# Only the rate limits for each connection and address are off, because all clients share one address.
_LIMITS_OFF = {
    "CHAT_ACTORS_LIMITS__MESSAGES_PER_SECOND": "0",
    "CHAT_ACTORS_LIMITS__REGISTRATIONS": "0",
    "CHAT_ACTORS_LIMITS__CONNECTIONS_PER_IP": "0",
    "CHAT_ACTORS_DATA__DIR": "DATA",
    "CHAT_ACTORS_DATA__JOURNAL": "off",  # the peers store nothing
}
_SERVE = ("PYTHON", "-c", "from chat_actors.cli.main import main; main()", "serve", "--bind", "127.0.0.1:PORT")


def _peer(module: str) -> tuple[str, ...]:
    return ("PYTHON", "-m", f"load.bench.peers.{module}", "PORT")


SERVER_SPECS: tuple[ServerSpec, ...] = (
    ServerSpec(
        OURS,
        "chat_actors (chat-actors serve)",
        "chat_actors",
        _SERVE,
        ("chat-actors", "hypercorn", "quart"),
        _LIMITS_OFF,
    ),
    ServerSpec(
        "chat_actors-journal",
        "chat_actors, each message stored in SQLite",
        "chat_actors",
        _SERVE,
        ("chat-actors", "hypercorn", "quart"),
        {**_LIMITS_OFF, "CHAT_ACTORS_DATA__JOURNAL": "sqlite"},
    ),
    ServerSpec(
        "chat_actors-disk",
        "chat_actors, each message on the disk",
        "chat_actors",
        _SERVE,
        ("chat-actors", "hypercorn", "quart"),
        {**_LIMITS_OFF, "CHAT_ACTORS_DATA__JOURNAL": "sqlite", "CHAT_ACTORS_DATA__DURABILITY": "disk"},
    ),
    ServerSpec(
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
    ServerSpec("websockets", "websockets broadcast()", "plain", _peer("websockets_room"), ("websockets",)),
    ServerSpec(
        "starlette",
        "Starlette on uvicorn",
        "plain",
        _peer("starlette_room"),
        ("starlette", "uvicorn", "uvloop", "httptools"),
    ),
    ServerSpec("picows", "picows", "plain", _peer("picows_room"), ("picows", "uvloop")),
    ServerSpec(
        "python-socketio",
        "python-socketio on uvicorn",
        "socket.io",
        _peer("socketio_room"),
        ("python-socketio", "uvicorn", "uvloop", "httptools", "orjson"),
    ),
    ServerSpec("socketify", "socketify (uWebSockets)", "plain", _peer("socketify_room"), ("socketify",)),
    ServerSpec("ws", "Node ws", "plain", ("node", "NODE/ws_room.js", "PORT"), ("ws",), is_node=True),
    ServerSpec(
        "socket.io",
        "Node socket.io",
        "socket.io",
        ("node", "NODE/socketio_room.js", "PORT"),
        ("socket.io",),
        is_node=True,
    ),
)


class MissingDependency(Exception):
    """A server cannot run here because something is not installed."""

    def __init__(self, name: str, problem: str, remedy: str) -> None:
        self.name = name
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.name} is skipped: {self.problem}; {self.remedy}"


def versions_of(spec: ServerSpec, node_folder: Path) -> dict[str, str]:
    """The version of each package that the server needs. Raises `MissingDependency`."""
    if spec.is_node:
        return _node_versions(spec, node_folder)
    versions = {}
    for package in spec.packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            raise MissingDependency(spec.name, f"{package} is not installed", _INSTALL) from None
    return versions


def install_node_peers(folder: Path) -> None:
    """Install the packages of the Node peers into the folder with npm, once. Raises `MissingDependency`."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return  # `versions_of` reports it
    folder.mkdir(parents=True, exist_ok=True)
    for source in (*_NODE_SOURCES.glob("*.js"), _NODE_SOURCES / "package.json"):
        shutil.copy(source, folder)
    if (folder / "node_modules").is_dir():
        return
    command = ("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--omit=dev")
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)  # noqa: S603 - fixed words
    except (subprocess.SubprocessError, OSError) as error:
        raise MissingDependency(
            "node", f"npm could not install its packages ({error})", f"run npm install in {folder}"
        ) from error


def command_of(spec: ServerSpec, port: int, data: Path, node_folder: Path) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment variables that start the server."""
    values = {"PYTHON": sys.executable, "PORT": str(port), "DATA": str(data), "NODE": str(node_folder)}

    def substitute(text: str) -> str:
        for name, value in values.items():
            text = text.replace(name, value)
        return text

    search = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environ = {"PYTHONPATH": os.pathsep.join(search), "NODE_ENV": "production"}
    environ |= {key: value.replace("DATA", values["DATA"]) for key, value in spec.environ.items()}
    return [substitute(part) for part in spec.command], environ


def dialect_of(spec: ServerSpec, keys: Sequence[Key]) -> Dialect:
    match spec.dialect:
        case "chat_actors":
            return ChatActors(keys)
        case "plain":
            return PlainJson()
        case "socket.io":
            return SocketIO()


def _node_versions(spec: ServerSpec, folder: Path) -> dict[str, str]:
    node = shutil.which("node")
    if node is None:
        raise MissingDependency(spec.name, "Node is not installed", "install node and npm")
    shown = subprocess.run((node, "--version"), capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    versions = {"node": shown.stdout.strip().lstrip("v")}
    for package in spec.packages:
        manifest = folder / "node_modules" / package / "package.json"
        if not manifest.is_file():
            raise MissingDependency(spec.name, f"{package} is not installed", f"npm install in {folder}")
        versions[package] = json.loads(manifest.read_text())["version"]
    return versions
