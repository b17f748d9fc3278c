"""Load tests that are disturbed while they run: none of them may pass."""

import re
import signal
import sqlite3
from contextlib import ExitStack, closing

import psutil
import pytest

from tests.load.harness import NO_LATENCY_LIMITS, Load, Server, counts

pytestmark = pytest.mark.timeout(3600)
BOTH_HAVE_REPORTED = r"[1-9]\d of \d+ s"  # printed after ten seconds or more; workers report every three


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Load tests on five servers. All run at once, and each is disturbed once messages flow."""
    with ExitStack() as running:

        def start_server(name):
            return running.enter_context(Server(tmp_path_factory.mktemp(name)))

        names = ("undisturbed", "hanging", "hanging_too", "killed", "alone")
        undisturbed, hanging, hanging_too, killed, alone = map(start_server, names)
        servers = {
            "worker": undisturbed,
            "hung": hanging,
            "hung steps": hanging_too,
            "interrupted": undisturbed,
            "slow": killed,
            "complete": alone,
        }

        def start(name, *arguments, scenario="steady", seconds=20, users=10):
            server = servers[name]
            arguments = ("--say-every", 0.5, *arguments)
            folder = server.folder / name.replace(" ", "_")
            options = {"users": users, "seconds": seconds, "objectives": NO_LATENCY_LIMITS}
            return server, running.enter_context(Load(server.url, folder, scenario, *arguments, **options))

        started = {
            "worker": start("worker", "--processes", 2),
            "hung": start("hung"),
            "hung steps": start("hung steps", "--shape", "steps", "--step-users", 5, "--step-seconds", 8),
            "interrupted": start("interrupted", seconds=60),
            "slow": start("slow", scenario="slow_readers"),
            "complete": start("complete", "--processes", 2, seconds=8),
        }
        for server in (hanging, hanging_too):
            server.wait_for_messages(20)
            server.process.send_signal(signal.SIGSTOP)
            running.callback(server.process.send_signal, signal.SIGCONT)
        started["interrupted"][1].wait_for(BOTH_HAVE_REPORTED)
        started["interrupted"][1].process.send_signal(signal.SIGINT)
        killed.wait_for_messages(20)
        killed.process.kill()
        started["worker"][1].wait_for(BOTH_HAVE_REPORTED)
        psutil.Process(started["worker"][1].process.pid).children()[0].kill()
        yield {name: (server, load, *load.verdict()) for name, (server, load) in started.items()}


def test_hung_server_fails_the_test(started):
    _, load, code, verdict = started["hung"]
    assert code == 1, load.text
    assert verdict["reasons"]["echo: no response in time"] >= 1


def test_hung_server_ends_the_steps(started):
    _, load, code, verdict = started["hung steps"]
    assert code == 1, load.text
    (note,) = [note for note in verdict["notes"] if note.startswith("Steps")]
    assert re.match(r"Steps: [05] users met the objectives, (5|10) did not: ", note), note


def test_lost_worker_fails_the_test(started):
    _, load, code, verdict = started["worker"]
    assert code == 1, load.text
    assert verdict["problems"] == ["1 of 2 load generator workers were lost"]


def test_interrupted_test_is_judged_and_fails(started):
    _, load, code, verdict = started["interrupted"]
    assert code == 1, load.text
    assert re.fullmatch(r"stopped after \d+ of 60 s", verdict["problems"][0])
    assert counts(verdict)["echo"] > 10


def test_killed_server_is_not_an_eviction(started):
    _, load, code, verdict = started["slow"]
    assert code == 1, load.text
    assert "eviction" not in counts(verdict) or counts(verdict)["eviction"] == 0
    assert verdict["reasons"]["eviction: closed 1006, without a close frame"] >= 1


def test_last_worker_reports_are_counted(started):
    server, load, code, verdict = started["complete"]
    assert code == 0, load.text
    with closing(sqlite3.connect(server.folder / "data" / "chat.db")) as data:
        (stored,) = data.execute("SELECT count(*) FROM messages").fetchone()
    # Each user may have waited for one more echo when it was stopped.
    assert stored - 10 <= counts(verdict)["echo"] <= stored
