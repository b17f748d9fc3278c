"""The conformance suites fail adapters that break a promise of their port."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.patience import PATIENCE
from tests.storage import broken_adapters

SUITES = {name: suite for name, suite in vars(broken_adapters).items() if hasattr(suite, "must_fail")}
FILE = Path(broken_adapters.__file__)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """The failed tests of each suite, from one run of pytest over those that must fail."""
    folder = tmp_path_factory.mktemp("suites")
    tests = [f"{FILE}::{name}::{test}" for name, suite in SUITES.items() for test in suite.must_fail]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", "--tb=line"]
    options = ["--rootdir", FILE.parents[2], "--basetemp", folder / "temp", "--junit-xml", folder / "results.xml"]
    done = subprocess.run(
        [*command, *options, *tests], cwd=FILE.parents[2], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    failed = {name: set() for name in SUITES}
    for case in ElementTree.parse(folder / "results.xml").iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed[case.get("classname").rpartition(".")[2]].add(case.get("name"))
    return failed


@pytest.mark.parametrize("name", SUITES)
def test_suite_fails_a_broken_adapter(outcomes, name):
    assert SUITES[name].must_fail <= outcomes[name]


def test_server_does_not_load_pytest():
    loaded = (
        "import sys, chat_actors, chat_actors.cli.main, chat_actors.server, chat_actors.testing;"
        "print([m for m in sys.modules if m.split('.')[0] in {'pytest', '_pytest'}])"
    )
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout == "[]\n"
