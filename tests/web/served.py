"""Real servers, in this process or in a child process; and a TCP proxy that delays and cuts."""

import contextlib
import functools
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from anyio.from_thread import start_blocking_portal

from chat_actors.chat import Limits
from chat_actors.server.app import create_app
from chat_actors.server.settings import DataSettings, ServerSettings, Settings
from tests.patience import PATIENCE
from tests.wire.live_server import LiveServer, fail_test

PROGRAM = (sys.executable, "-c", "from chat_actors.cli.main import main; main()")


UNLIMITED = {"registrations": 0, "messages_per_second": 0, "rooms_per_minute": 0, "queries_per_second": 0}
"""The users of a test share one address, and scripts act faster than people."""


class HostedChat:
    """A server in a thread of this process. It starts at once and cannot be killed."""

    def __init__(self, folder, certificate=None, **server):
        settings = Settings(
            server=ServerSettings(**server),
            limits=Limits(**UNLIMITED),
            data=DataSettings(dir=str(folder / "data")),
        )
        certfile, keyfile = certificate or (None, None)
        self._server = LiveServer(create_app(settings, on_failure=fail_test), certfile=certfile, keyfile=keyfile)
        self._scheme = "https" if certificate else "http"
        self._running = contextlib.ExitStack()

    def __enter__(self):
        portal = self._running.enter_context(start_blocking_portal())
        self._running.enter_context(portal.wrap_async_context_manager(self._server))
        self.port = self._server.port
        self.url = f"{self._scheme}://localhost:{self.port}"
        return self

    def __exit__(self, *exc):
        self._running.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ServedChat:
    """`chat-actors serve` in a child process that can be killed, stopped and started again."""

    def __init__(self, folder, certificate=None):
        self.folder = folder
        self.port = free_port()
        self.url = f"{'https' if certificate else 'http'}://localhost:{self.port}"
        self.log = folder / "server.log"
        self._tls = ("--certfile", certificate[0], "--keyfile", certificate[1]) if certificate else ()
        self._process = None

    def command(self, *arguments, **options):
        """Run another command on the same data. The server must not be running."""
        arguments = (*PROGRAM, *arguments, "--dir", self.folder / "data")
        return subprocess.run([*map(str, arguments)], check=True, timeout=PATIENCE, capture_output=True, **options)

    def start(self, *more):
        arguments = ("serve", "--bind", f"localhost:{self.port}", "--dir", self.folder / "data", *self._tls)
        settings = [part for name, most in UNLIMITED.items() for part in ("--set", f"limits.{name}={most}")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*map(str, (*PROGRAM, *arguments)), *settings, *more],
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        for line in self._process.stdout:
            if b"to stop" in line:
                return
        self._process.wait(PATIENCE)
        self._process.stdout.close()
        raise AssertionError(f"the server ended: {self.log.read_text()}")

    def forget_everything(self):
        """Delete the data. The server must not be running."""
        shutil.rmtree(self.folder / "data")

    def kill(self):
        self._end(signal.SIGKILL)

    def stop(self):
        if self._process is not None and self._process.poll() is None:
            self._end(signal.SIGTERM)

    def _end(self, how):
        self._process.send_signal(how)
        self._process.wait(PATIENCE)
        self._process.stdout.close()


@contextlib.contextmanager
def website(folder):
    """Serve the files of a folder at their own origin."""
    handler = functools.partial(QuietHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class SlowProxy:
    """A TCP proxy that delays data by `delay` seconds each way, and can be cut."""

    def __init__(self, port):
        self.delay = 0
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._sockets = []
        self._is_cut = False
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()
        self._thread.join(PATIENCE)

    def cut(self):
        """End all connections and refuse new ones until `mend`."""
        self._is_cut = True
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self):
        self._is_cut = False

    def _accept(self):
        carriers = []
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                break
            if self._is_cut:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [client, server]
            carriers.append(threading.Thread(target=self._carry, args=(client, server)))
            carriers[-1].start()
        self.cut()
        for one in carriers:
            one.join(PATIENCE)

    def _carry(self, client, server):
        held = []  # (time received, target, data)
        with client, server, selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            with contextlib.suppress(OSError):
                while True:
                    wait = max(0, held[0][0] - time.monotonic()) if held else None
                    for key, _ in selector.select(wait):
                        data = key.fileobj.recv(65536)
                        if not data:
                            return
                        held.append((time.monotonic() + self.delay, key.data, data))
                    while held and held[0][0] <= time.monotonic():
                        _, target, data = held.pop(0)
                        target.sendall(data)
