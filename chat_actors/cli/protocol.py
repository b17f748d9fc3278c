"""The command that prints the protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from chat_actors import __version__
from chat_actors.cli.flags import load_enabled, load_from_flags, settings_flags
from chat_actors.protocol.document import protocol_document
from chat_actors.protocol.page import protocol_page


@click.command("protocol")
@click.option("--markdown", is_flag=True, help="Print Markdown for people instead of JSON for programs.")
@settings_flags
def protocol(markdown: bool, config: Path | None, assignments: tuple[str, ...], **flags: Any) -> None:
    """Print the protocol, including the enabled extensions, as an AsyncAPI 3 document."""
    settings = load_from_flags(config, assignments, flags).settings
    vocabulary = load_enabled(settings)[1].vocabulary
    document = protocol_document(vocabulary, __version__)
    if markdown:
        click.echo(protocol_page(document), nl=False)
    else:
        click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))
