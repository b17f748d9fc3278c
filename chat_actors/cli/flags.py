"""The flags that commands share, and loading the settings from flags, a file and the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from chat_actors.chat import Extensions
from chat_actors.server.extension_loading import ExtensionError, Loaded, combine, load_extensions
from chat_actors.server.settings import Settings
from chat_actors.server.settings_sources import LoadedSettings, SettingsError, load_settings

FAILED = 1
"""Exit code."""

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
        "--set",
        "assignments",
        multiple=True,
        metavar="SECTION.KEY=VALUE",
        help="Any other setting, also extensions.NAME.KEY; may be repeated.",
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
    try:
        return load_settings(config, os.environ, named, assignments)
    except SettingsError as error:
        click.echo(f"chat-actors: {error}", err=True)
        sys.exit(BAD_SETTINGS)


def load_enabled(settings: Settings, exit_code: int = FAILED) -> tuple[Sequence[Loaded], Extensions]:
    """Load and combine the enabled extensions. Exits with one line if one cannot be used."""
    add_current_folder(settings.server.extensions)
    try:
        loaded = load_extensions(settings.server.extensions, settings.extensions)
        return loaded, combine(loaded)
    except ExtensionError as error:
        click.echo(f"chat-actors: {error}", err=True)
        sys.exit(exit_code)


def add_current_folder(specs: Sequence[str]) -> None:
    """Let `module:name` name a module in the current folder, as `python -m` does.

    The folder is added only if it has such a module. It comes first, so that a module that is being edited is used even
    if an earlier version is installed.
    """
    folder = Path.cwd()
    for spec in specs:
        module = spec.partition(":")[0].partition(".")[0]
        is_here = (folder / f"{module}.py").is_file() or (folder / module).is_dir()
        if ":" in spec and module and is_here and module not in sys.stdlib_module_names and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
