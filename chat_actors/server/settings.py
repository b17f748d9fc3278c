"""The settings: one typed, frozen record, the rules for its values, and the features that this version lacks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from chat_actors.chat import Limits
from chat_actors.chat.fan_out import BLOCK_BYTES
from chat_actors.server.origins import is_origin


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[server]`: listening, TLS, proxies, and extensions."""

    bind: str = "127.0.0.1:8080"
    """`host:port` (port 0: any free one), `[::1]:port`, or `unix:/path`."""

    certfile: str = ""
    """PEM file of the TLS certificate chain; with `keyfile`, serves TLS."""

    keyfile: str = ""
    """PEM file of the certificate's private key."""

    workers: int = 1
    """Number of server processes."""

    drain_seconds: float = 10.0
    """Seconds that connections have to end at shutdown; also the range of the retry times given to clients."""

    compression: bool = False
    """Whether to accept permessage-deflate if a client offers it."""

    trusted_proxies: int = 0
    """Number of reverse proxies in front of the server that add to `X-Forwarded-For`."""

    allowed_origins: tuple[str, ...] = ()
    """Origins of web pages that may open a WebSocket, besides the server's own, as in `https://example.org`."""

    extensions: tuple[str, ...] = ()
    """Enabled extensions: names of installed ones, or `module:name`."""


class DataSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[data]`: the storage of accounts and messages."""

    dir: str = "chat-data"
    """Folder of the SQLite file; created if missing."""

    journal: Literal["sqlite", "memory", "off"] = "sqlite"
    """Where messages are kept: in the SQLite file, in the memory of the process, or not at all."""

    durability: Literal["os", "disk"] = "os"
    """Whether a stored message survives only the end of the process ("os"), or a power cut as well ("disk")."""

    keep_messages: int = 0
    """Number of messages kept for each room. 0: all."""

    keep_days: float = 0.0
    """Number of days that messages are kept. 0: forever."""

    nats: str = ""
    """URL of the NATS server of a cluster."""


class WrittenText(msgspec.Struct, frozen=True):
    """The value of an extension's setting from the environment or from `--set`: its type is not known yet."""

    source: str
    text: str


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings. `[limits]` is defined by the chat's actors."""

    server: ServerSettings = ServerSettings()
    data: DataSettings = DataSettings()
    limits: Limits = Limits()

    extensions: Mapping[str, Mapping[str, Any]] = {}
    """`[extensions.NAME]`: the settings of each extension as written (TOML values, `WrittenText`), not checked."""


SECTIONS: Mapping[str, type[msgspec.Struct]] = {"server": ServerSettings, "data": DataSettings, "limits": Limits}

MIN_FRAME_BYTES = 12_288
"""The smallest `frame_bytes`: a registration with a public key of 8 KiB and escaped line breaks must fit."""

MIN_BACKLOG_BYTES = 2 * BLOCK_BYTES
"""The smallest `backlog_bytes`: one delivery of a room must not evict a client that reads."""


class _Rule(msgspec.Struct, frozen=True):
    """A value is valid if `holds(value)`; otherwise the error says that it `must` be something else."""

    holds: Callable[[Any], bool]
    must: str


def _is_bind(value: str) -> bool:
    if value.startswith("unix:"):
        return len(value) > len("unix:")
    host, _, port = value.rpartition(":")
    return bool(host) and port.isdecimal() and int(port) < 65536


def _is_file_or_empty(value: str) -> bool:
    return not value or Path(value).is_file()


_RULES: Mapping[str, _Rule] = {
    "server.bind": _Rule(_is_bind, "be host:port, [ipv6]:port or unix:/path"),
    "server.certfile": _Rule(_is_file_or_empty, "name a file that exists"),
    "server.keyfile": _Rule(_is_file_or_empty, "name a file that exists"),
    "server.drain_seconds": _Rule(lambda value: 0 < value < math.inf, "be more than 0"),
    "server.trusted_proxies": _Rule(lambda value: value >= 0, "be 0 or more"),
    "server.allowed_origins": _Rule(
        lambda value: all(map(is_origin, value)),
        "be origins, each with its scheme and without a path, in ASCII (xn--…): https://example.org",
    ),
    "data.dir": _Rule(bool, "name a folder"),
    "data.keep_messages": _Rule(lambda value: value >= 0, "be 0 (all) or more"),
    "data.keep_days": _Rule(lambda value: 0 <= value < math.inf, "be 0 (forever) or more"),
    "limits.frame_bytes": _Rule(
        lambda value: value == 0 or value >= MIN_FRAME_BYTES, f"be 0 (no limit) or at least {MIN_FRAME_BYTES}"
    ),
    "limits.backlog_bytes": _Rule(
        lambda value: value == 0 or value >= MIN_BACKLOG_BYTES, f"be 0 (no limit) or at least {MIN_BACKLOG_BYTES}"
    ),
    "limits.message_burst": _Rule(lambda value: value >= 1, "be at least 1"),
}

_NOT_YET: Mapping[str, _Rule] = {
    "server.workers": _Rule(lambda value: value == 1, "be 1: several processes are not available in this version"),
    "data.nats": _Rule(lambda value: not value, "be empty: clusters are not available in this version"),
}
"""The accepted values of settings whose features this version lacks. A feature removes its row."""


def problem_with(key: str, value: Any) -> str | None:
    """The problem with a value of the right type for `section.key`, as "must ...", or None."""
    for rules in (_RULES, _NOT_YET):
        rule = rules.get(key)
        if rule is not None and not rule.holds(value):
            return f"must {rule.must}"
    if key.startswith("limits.") and not 0 <= value < math.inf:
        return "must be 0 (no limit) or more"
    return None


def problem_between(settings: Settings) -> str | None:
    """The problem with values that are valid one by one, or None."""
    if bool(settings.server.certfile) != bool(settings.server.keyfile):
        return "server.certfile and server.keyfile go together: give both or neither"
    limits = settings.limits
    if limits.backlog_bytes and limits.backlog_bytes < 2 * limits.frame_bytes:
        return "limits.backlog_bytes must be at least twice limits.frame_bytes: one message must not evict its readers"
    return None
