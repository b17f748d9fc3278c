"""The flags that commands share, and loading the settings from flags, a file and the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from chat_actors.server.settings_sources import LoadedSettings, SettingsError, load_settings

BAD_SETTINGS = 2
"""Exit code if the settings are not valid."""


def settings_flags(command: Any) -> Any:
    """Add the flags of a command that takes all settings."""
    for flag, help_text in (
        ("--bind", "Address to listen on: host:port, [ipv6]:port or unix:/path."),
        ("--certfile", "TLS certificate chain (PEM)."),
        ("--keyfile", "TLS private key (PEM)."),
    ):
        command = click.option(flag, help=help_text)(command)
    command = click.option(
        "--extension", "extensions", multiple=True, metavar="NAME", help="Enable an extension: NAME or module:name."
    )(command)
    command = click.option(
        "--set", "assignments", multiple=True, metavar="SECTION.KEY=VALUE", help="Any other setting; may be repeated."
    )(command)
    return data_flags(command)


def data_flags(command: Any) -> Any:
    """Add the flags of a command that needs only the data folder."""
    command = click.option("--dir", "folder", help="Data folder: accounts and messages.")(command)
    return click.option("--config", type=click.Path(path_type=Path), help="TOML file with settings.")(command)


def load_from_flags(config: Path | None, assignments: tuple[str, ...], flags: Mapping[str, Any]) -> LoadedSettings:
    """Load the settings. Exits with one line if they are not valid."""
    keys = {"folder": "data.dir"}
    named: dict[str, object] = {keys.get(name, f"server.{name}"): value or None for name, value in flags.items()}
    for assignment in assignments:
        key, _, value = assignment.partition("=")
        named[key] = value
    try:
        return load_settings(config, os.environ, named)
    except SettingsError as error:
        click.echo(f"chat-actors: {error}", err=True)
        sys.exit(BAD_SETTINGS)
