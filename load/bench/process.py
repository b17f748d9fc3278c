"""A server process: started, pinned to a core, measured from outside, and always stopped."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_START_TIMEOUT = 20.0
_STOP_TIMEOUT = 2.0
_PR_SET_PDEATHSIG = 1
_INTERRUPTS = {signal.SIGINT, signal.SIGTERM}

_libc = ctypes.CDLL(None)


class ServerFailed(Exception):
    """A server did not start, or ended early."""

    def __init__(self, name: str, problem: str, log: Path) -> None:
        self.name = name
        self.problem = problem
        self.log = log

    def __str__(self) -> str:
        last = self.log.read_text(errors="replace").strip().splitlines()[-1:] if self.log.exists() else []
        return f"{self.name} {self.problem}: {last[0] if last else 'it printed nothing'} (see {self.log})"


def free_port() -> int:
    """A TCP port on loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ServerProcess:
    """A context manager: the server listens on `port` inside, and is stopped with its children at the end."""

    def __init__(
        self, name: str, command: Sequence[str], environ: Mapping[str, str], port: int, core: int | None, log: Path
    ) -> None:
        self.name = name
        self.port = port
        self._command = command
        self._environ = environ
        self._core = core
        self._log = log

    def __enter__(self) -> ServerProcess:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        # Defer interrupts until `self._process` is set; otherwise the new process would never be stopped.
        signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
        try:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(  # noqa: S603 - the command is one of this package's own table
                    self._command,
                    env={**os.environ, **self._environ},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=self._before_exec,
                )
        except BaseException:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTS)
            raise
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTS)
            self._wait_until_listening()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        for number, timeout in ((signal.SIGTERM, _STOP_TIMEOUT), (signal.SIGKILL, None)):
            # The server has its own session, so its process group contains only it and its children.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)

    def cpu_seconds(self) -> float:
        """CPU time of the server and its children, in nanosecond resolution where the kernel provides it."""
        return sum(_cpu_seconds(pid) for pid in self._pids())

    def run_delay_seconds(self) -> float:
        """Time spent ready to run while another process had the core; the maximum over the server and its children."""
        return max(run_delay_seconds(pid) for pid in self._pids())

    def memory_bytes(self) -> int:
        """Resident memory of the server and its children now."""
        return sum(_status_kib(pid, "VmRSS") for pid in self._pids()) * 1024

    def peak_memory_bytes(self) -> int:
        """Sum of the peak resident memory of the server and its children."""
        return sum(_status_kib(pid, "VmHWM") for pid in self._pids()) * 1024

    def open_descriptors(self) -> int:
        """Number of open file descriptors of the server and its children."""
        return sum(sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()) for pid in self._pids())

    def check_alive(self) -> None:
        """Raise `ServerFailed` if the server has ended."""
        if (code := self._process.poll()) is not None:
            raise ServerFailed(self.name, f"ended with exit code {code}", self._log)

    def _pids(self) -> Iterator[int]:
        return _with_children(self._process.pid)

    def _before_exec(self) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTS)
        if self._core is not None:
            os.sched_setaffinity(0, {self._core})
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # the server ends even if the benchmark is killed
        allow_many_files()

    def _wait_until_listening(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while True:
            self.check_alive()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            if time.monotonic() > deadline:
                raise ServerFailed(self.name, f"did not listen within {_START_TIMEOUT:.0f} s", self._log)
            time.sleep(0.05)


def allow_many_files() -> None:
    """Raise the soft limit of open files to the hard limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _with_children(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                yield from _with_children(int(child))


def _cpu_seconds(pid: int) -> float:
    """CPU time of all threads. /proc/PID/stat has steps of 10 ms, too coarse for a second of light load."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(_scheduled(path, 0) for path in threads) or _cpu_seconds_by_stat(pid)


def run_delay_seconds(pid: int) -> float:
    """Time that a process's main thread was ready but not running; 0 if the kernel does not provide it."""
    return _scheduled(Path(f"/proc/{pid}/schedstat"), 1)


def _scheduled(path: Path, column: int) -> float:
    try:
        return int(path.read_text().split()[column]) / 1e9
    except (OSError, IndexError):
        return 0.0  # the process has just ended, or the kernel has no scheduler statistics


def _cpu_seconds_by_stat(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _status_kib(pid: int, key: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1])
    return 0
