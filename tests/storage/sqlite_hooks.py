"""The hooks of the conformance suites for the SQLite adapters."""

import asyncio
import contextlib
import sqlite3
import threading

import anyio

from chat_actors.storage import SqliteFile


class FailingConnection:
    """A connection whose accesses fail once the countdown has ended."""

    def __init__(self, connection, countdown):
        self._connection = connection
        self._countdown = countdown

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def execute(self, *arguments):
        self._countdown.count()
        return self._connection.execute(*arguments)

    def executemany(self, *arguments):
        self._countdown.count()
        return self._connection.executemany(*arguments)


class Countdown:
    def __init__(self, step):
        self.remaining = step

    def count(self):
        self.remaining -= 1
        if self.remaining <= 0:
            raise sqlite3.OperationalError("disk I/O error")


class SqliteHooks:
    """`make(file)`, from the suite, is the adapter of a file."""

    async def open(self, place):
        return self.make(await SqliteFile.open(place / "data" / "chat.db"))

    @contextlib.contextmanager
    def fail_at(self, adapter, step):
        file = adapter._file._file
        sound, countdown = file._connections, Countdown(step)
        file._connections = tuple(FailingConnection(connection, countdown) for connection in sound)
        yield
        file._connections = sound

    @contextlib.asynccontextmanager
    async def hold_writes(self, adapter):
        begun, go_on, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()

        def hold(connection):
            loop.call_soon_threadsafe(begun.set)
            assert go_on.wait(10)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(adapter._file.write, "hold the file", hold)
            await begun.wait()
            try:
                yield
            finally:
                go_on.set()
