"""How the suite runs: its fast part, the order and the workers, and the check that a test leaves nothing behind."""

import os
import tempfile
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests import child_signals, leftovers

TESTS = Path(__file__).parent

SLOW = (
    "cli/",
    "client/test_examples.py",
    "client/test_sync.py",
    "conformance/test_mass_reconnect.py",
    "load/",
    "storage/test_conformance_suites.py",
    "web/",
)
"""Tests that start processes or browsers, or take seconds. All others are the fast part, `pytest -m fast`."""

SLOWEST_FIRST = ("load", "web", "cli", "client", "conformance", "server")
"""With several workers, long modules start early so that none is left to run alone at the end."""

MAX_WORKERS = 8

IN_TURN = "load"
"""The modules of this folder load the machine by themselves: one worker runs them one after the other."""


def part_of(path):
    """The path below tests/, as text."""
    return Path(path).resolve().relative_to(TESTS).as_posix()


def is_fast(part):
    return not part.startswith(SLOW)


def pytest_configure(config):
    child_signals.restore_for_children()
    for name in ("COLUMNS", "LINES"):  # readline sets them in the workers of xdist
        os.environ.pop(name, None)
    config.addinivalue_line("markers", "fast: starts no other process; set by folder in tests/conftest.py")


def pytest_ignore_collect(collection_path, config):
    """With `-m fast`, do not even import the rest: it may need packages that are not installed."""
    part = part_of(collection_path)
    if config.option.markexpr == "fast" and not is_fast(f"{part}/" if collection_path.is_dir() else part):
        return True
    return None


def pytest_collection_modifyitems(items):
    def rank(item):
        folder = part_of(item.path).partition("/")[0]
        return SLOWEST_FIRST.index(folder) if folder in SLOWEST_FIRST else len(SLOWEST_FIRST)

    for item in items:
        if is_fast(part_of(item.path)):
            item.add_marker("fast")
    items.sort(key=rank)


def pytest_make_parametrize_id(val, argname):
    """Name bytes after their parameter: frames are masked with random keys, and test ids must be the same each time."""
    return argname if isinstance(val, bytes) else None


class ByModule(LoadScopeScheduling):
    """A module's tests share a worker, and with it the fixtures of the module."""

    def _split_scope(self, nodeid):
        path = nodeid.partition("::")[0]
        return IN_TURN if f"/{IN_TURN}/" in path else path


def pytest_xdist_make_scheduler(config, log):
    return ByModule(config, log)


def pytest_xdist_auto_num_workers(config):
    """None for single modules; one for each core for the fast part; else two, as the slow tests mostly wait."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # xdist itself reads it
    if all(Path(argument.partition("::")[0]).is_file() for argument in config.args):
        return 0
    cores = os.cpu_count() or 1
    return min(cores if config.option.markexpr == "fast" else 2 * cores, MAX_WORKERS)


@pytest.fixture(scope="session", autouse=True)
def system_temp(tmp_path_factory):
    """A folder for temporary files that no other program uses; what is left in it is seen."""
    folder = tmp_path_factory.mktemp("system-temp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))  # for child processes
        patch.setattr(tempfile, "tempdir", str(folder))
        threads = leftovers.threads()
        yield folder
        left = leftovers.remaining(
            lambda: leftovers.processes_with("TMPDIR", folder) | leftovers.files_in(folder) | leftovers.threads(),
            threads,
        )
    assert not left, f"the tests left behind: {left}"


@pytest.fixture(autouse=True)
def _no_leftovers(request, system_temp):
    """Fail a test that leaves something behind. Fixtures of a wider scope were set up before, and are not reported.

    A server or browser of a wider scope may start a thread or open a file at any time, so these are not checked then.
    """
    scopes = {definition[-1].scope for definition in request.node._fixtureinfo.name2fixturedefs.values()}
    shares = bool(scopes & {"class", "module", "package"})

    def find():
        found = leftovers.children() | leftovers.files_in(system_temp)
        return found if shares else found | leftovers.threads() | leftovers.open_files()

    before = find()
    yield
    left = leftovers.remaining(find, before)
    assert not left, f"the test left behind: {left}"


@pytest.fixture
def anyio_backend():
    """Sockets and subprocesses run on asyncio; tests of actors say where they run on both."""
    return "asyncio"
