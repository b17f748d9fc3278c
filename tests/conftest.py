"""The suite's fast part, the order of its tests, the xdist workers, and the check that tests leave nothing behind."""

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
"""Paths of tests that start processes or browsers, or take seconds. All others are the fast part, `pytest -m fast`."""

SERIAL = ("load/test_interruptions.py", "load/test_scenarios.py", "load/test_faults.py", "load/test_locust.py")
"""Modules that load the machine. One worker runs them, one after the other."""

SLOWEST_FIRST = (
    *SERIAL,
    "conformance/test_mass_reconnect.py",
    "cli/test_kill.py",
    "web/",
    "cli/",
    "load/",
    "server/transport/test_take_over.py",
    "conformance/test_misbehaving_clients.py",
    "server/",
    "client/",
)
"""With several workers, the longest modules start first, so that none ends last."""

MAX_WORKERS = 8


def path_in_tests(path):
    """The path relative to tests/, with slashes."""
    return Path(path).resolve().relative_to(TESTS).as_posix()


def is_fast(path):
    return not path.startswith(SLOW)


def pytest_configure(config):
    child_signals.restore_for_children()
    for name in ("COLUMNS", "LINES"):  # readline sets them in the workers of xdist
        os.environ.pop(name, None)
    config.addinivalue_line("markers", "fast: starts no other process; set by folder in tests/conftest.py")


def pytest_ignore_collect(collection_path, config):
    """With `-m fast`, do not import the slow tests: they may need packages that are not installed."""
    path = path_in_tests(collection_path)
    if config.option.markexpr == "fast" and not is_fast(f"{path}/" if collection_path.is_dir() else path):
        return True
    return None


def pytest_collection_modifyitems(items):
    def rank(item):
        path = path_in_tests(item.path)
        return next((place for place, start in enumerate(SLOWEST_FIRST) if path.startswith(start)), len(SLOWEST_FIRST))

    for item in items:
        if is_fast(path_in_tests(item.path)):
            item.add_marker("fast")
    items.sort(key=rank)


def pytest_make_parametrize_id(val, argname):
    """Name bytes after their parameter: all workers need the same test ids, and frames have random masking keys."""
    return argname if isinstance(val, bytes) else None


class ByModule(LoadScopeScheduling):
    """Runs all tests of a module in one worker, where they share the fixtures of the module."""

    def _split_scope(self, nodeid):
        path = nodeid.partition("::")[0]
        return "serial" if path.endswith(SERIAL) else path


def pytest_xdist_make_scheduler(config, log):
    return ByModule(config, log)


def pytest_xdist_auto_num_workers(config):
    """Two workers a core, since many tests mostly wait. Single modules run without xdist."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # xdist reads the variable itself
    if all(Path(argument.partition("::")[0]).is_file() for argument in config.args):
        return 0
    return min(2 * (os.cpu_count() or 1), MAX_WORKERS)


@pytest.fixture(scope="session", autouse=True)
def system_temp(tmp_path_factory):
    """A folder for the temporary files of this run. Files and processes that remain at the end fail the run."""
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
    """Fail a test that leaves processes, threads, open files or temporary files behind.

    Fixtures of a wider scope are set up before, so what they leave is not reported. If the test uses one, threads and
    open files are not checked: its server or browser may open some at any time.
    """
    scopes = {definition[-1].scope for definition in request.node._fixtureinfo.name2fixturedefs.values()}
    has_shared_fixture = bool(scopes & {"class", "module", "package"})

    def find():
        found = leftovers.children() | leftovers.files_in(system_temp)
        return found if has_shared_fixture else found | leftovers.threads() | leftovers.open_files()

    before = find()
    yield
    left = leftovers.remaining(find, before)
    assert not left, f"the test left behind: {left}"


@pytest.fixture
def anyio_backend():
    """Run anyio tests on asyncio. Tests of actors override this, to run on trio as well."""
    return "asyncio"
