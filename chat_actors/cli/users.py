"""The commands for accounts."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import click

from chat_actors.cli.data_folder import CommandFailed, open_data, run_command
from chat_actors.cli.flags import data_flags
from chat_actors.storage import SqliteAccounts

WHEN_FREE = "the id can be registered again once all extensions have erased the user's data, at a start of the server"


@click.group()
def users() -> None:
    """List or remove accounts, and free the ids of removed ones."""


@contextlib.asynccontextmanager
async def _accounts(
    config: Path | None, folder: str | None, *, exclusive: bool = False
) -> AsyncIterator[SqliteAccounts]:
    async with (
        open_data(config, folder, exclusive=exclusive) as file,
        contextlib.aclosing(SqliteAccounts(file)) as accounts,
    ):
        yield accounts


@users.command("list")
@click.option("--removed", is_flag=True, help="List the removed users whose ids are reserved.")
@data_flags
def list_users(removed: bool, config: Path | None, folder: str | None) -> None:
    """Print the id of each user and when it was registered. The server may be running.

    With --removed: when each account was removed, and the extensions that have erased the user's data.
    """

    async def work() -> None:
        async with _accounts(config, folder) as accounts:
            if not removed:
                for user in await accounts.users():
                    click.echo(f"{user.user_id}\t{user.created_at}")
                return
            for removal in await accounts.removals():
                end = "\tto be released" if removal.is_to_be_freed else ""
                click.echo(f"{removal.user_id}\t{removal.removed_at}\t{','.join(sorted(removal.told))}{end}")

    run_command(work)


@users.command("remove")
@click.argument("user")
@click.option("--release", is_flag=True, help="Free the id once all extensions have erased the user's data.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@data_flags
def remove_user(user: str, release: bool, yes: bool, config: Path | None, folder: str | None) -> None:
    """Remove the account of USER. The messages of USER in rooms stay. The server must not be running.

    The id stays reserved: it cannot be registered unless it is released. At the next start of the server, the
    extensions erase what they have stored about USER: direct messages, invitations, roles, votes.
    """

    async def work() -> None:
        async with _accounts(config, folder, exclusive=True) as accounts:
            if not yes and not click.confirm(f"Remove {user}?"):
                raise CommandFailed("nothing was removed")
            if not await accounts.remove(user, then_free=release):
                raise CommandFailed(f"there is no user {user!r}; see: chat-actors users list")
        click.echo(f"{user} is removed; {WHEN_FREE if release else 'the id stays reserved'}")

    run_command(work)


@users.command("release")
@click.argument("user")
@click.option("--anyway", is_flag=True, help="Free the id now. The next user of it may inherit data of extensions.")
@data_flags
def release_user(user: str, anyway: bool, config: Path | None, folder: str | None) -> None:
    """Free the id of USER, who was removed, so that it can be registered again. The server must not be running."""

    async def work() -> None:
        async with _accounts(config, folder, exclusive=True) as accounts:
            if not await (accounts.free(user) if anyway else accounts.free_when_told(user)):
                raise CommandFailed(f"the id {user!r} is not reserved; see: chat-actors users list --removed")
        click.echo(f"{user} can be registered again" if anyway else WHEN_FREE)

    run_command(work)
