"""A connection between client and server that tests can cut."""

import asyncio


class Cable:
    """A TCP proxy. `cut` aborts its connections; while `is_broken`, it accepts no new ones."""

    def __init__(self, port):
        self._target = port
        self._writers = set()
        self._tasks = set()
        self.is_broken = False

    async def __aenter__(self):
        self._listening = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = self._listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc):
        self._listening.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listening.wait_closed()

    def cut(self):
        for writer in self._writers:
            writer.transport.abort()

    async def _carry(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        ends = [writer]
        try:
            self._writers.add(writer)
            if self.is_broken:
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            ends.append(far_writer)
            self._writers.add(far_writer)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._copy(reader, far_writer))
                tasks.create_task(self._copy(far_reader, writer))
        except* OSError:
            pass
        finally:
            for end in ends:
                end.transport.abort()
                self._writers.discard(end)

    async def _copy(self, reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.transport.abort()
        raise ConnectionResetError
