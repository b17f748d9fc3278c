"""The command that lists extensions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from chat_actors.chat import Bot, Extension
from chat_actors.chat.command_method import Methods
from chat_actors.chat.endpoint import endpoints_of
from chat_actors.chat.room_kind import methods_of_kind
from chat_actors.chat.service import methods_of
from chat_actors.cli.flags import load_enabled, load_from_flags, settings_flags
from chat_actors.server.extension_loading import available


@click.command("extensions")
@settings_flags
def extensions(config: Path | None, assignments: tuple[str, ...], **flags: Any) -> None:
    """List the enabled extensions with what they add, and the installed ones that are not enabled."""
    settings = load_from_flags(config, assignments, flags).settings
    loaded, _ = load_enabled(settings)
    for found in loaded:
        click.echo(f"{found.enabled.extension.name}  from {found.origin}")
        for line in _additions(found.enabled.extension):
            click.echo(f"  {line}")
    origins = {found.origin for found in loaded}
    for point in available():
        if point.value not in origins:
            click.echo(f"{point.name}  from {point.value}, not switched on")
    if not loaded and not available():
        click.echo("no extension is installed or enabled")


def _additions(extension: Extension) -> list[str]:
    lines = []
    for service in extension.services:
        label = f"bot {service.name}" if issubclass(service, Bot) else "service"
        lines.append(f"{label} {service.__name__}, {service.scope.value}: {_names(methods_of(service))}")
        lines += [f"endpoint {method} /extensions/{extension.name}{path}" for method, path in endpoints_of(service)]
    for kind in extension.room_kinds:
        chosen = f", chosen as {kind.chosen_as}" if kind.chosen_as else ""
        lines.append(
            f"rooms {kind.rooms or 'of a rule of its own'}{chosen}: {kind.__name__}: {_names(methods_of_kind(kind))}"
        )
    return lines


def _names(methods: Methods) -> str:
    return ", ".join(sorted(str(command_type.__struct_config__.tag) for command_type in methods)) or "no commands"
