"""Locust's own features with these scenarios: several processes, load shapes, the web page."""

import contextlib
import json
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import pytest

from load.bench.process import free_port
from tests.load.harness import NO_LATENCY_LIMITS, ROOT, Load, Server, counts
from tests.patience import PATIENCE

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server")) as server:
        yield server


STEPS = ("--shape", "steps", "--step-seconds", 3, "--say-every", 0.3)
RUNS = {
    "processes": (("--processes", 2, "--say-every", 0.5), {"users": 10, "seconds": 8}),
    "steps": ((*STEPS, "--step-users", 4), {"users": 8, "seconds": 60}),
    "broken steps": ((*STEPS, "--step-users", 2), {"users": 50, "seconds": 60}),
    "ramp": (("--shape", "ramp", "--say-every", 0.3), {"users": 10, "seconds": 8}),
    "spike": (("--shape", "spike", "--say-every", 0.3), {"users": 10, "seconds": 8}),
}


@pytest.fixture(scope="module")
def runs(server, tmp_path_factory):
    """Load, exit code and verdict of each run. All run at once."""
    strict = tmp_path_factory.mktemp("strict") / "strict.toml"
    strict.write_text("[operations.echo]\np50 = 0.0001\n")
    folder = tmp_path_factory.mktemp("runs")
    loads = {}
    with contextlib.ExitStack() as running:
        for name, (arguments, options) in RUNS.items():
            objectives = strict if name == "broken steps" else NO_LATENCY_LIMITS
            load = Load(server.url, folder / name, "steady", *arguments, objectives=objectives, **options)
            loads[name] = running.enter_context(load)
        return {name: (load, *load.verdict()) for name, load in loads.items()}


def test_load_test_ends_with_its_block(server, tmp_path):
    with pytest.raises(ZeroDivisionError), Load(server.url, tmp_path / "load", "steady") as load:
        raise ZeroDivisionError
    assert load.process.returncode is not None


def test_processes_share_one_verdict(runs):
    load, code, verdict = runs["processes"]
    assert code == 0, load.text
    successes = counts(verdict)
    assert verdict["users"] == successes["register"] == 10
    assert successes["delivery"] > successes["echo"] > 10
    assert successes["generator lag"] > 20


def test_steps_report_the_highest_step(runs):
    load, code, verdict = runs["steps"]
    assert code == 0, load.text
    assert verdict["users"] == 8
    (note,) = [note for note in verdict["notes"] if note.startswith("Steps")]
    # On a busy machine the load generator may be late, which also ends the steps.
    expected = "Steps: all met the objectives, up to 8 users; the capacity is higher."
    assert note == expected or "load generator was late" in note
    assert verdict["seconds"] < 20


def test_steps_stop_at_the_first_breach(runs):
    _, code, verdict = runs["broken steps"]
    assert code == 1
    (note,) = [note for note in verdict["notes"] if note.startswith("Steps")]
    assert re.match(r"Steps: 0 users met the objectives, 2 did not: echo, p50 \d+ ms", note)
    assert verdict["users"] == 2


@pytest.mark.parametrize("shape", ["ramp", "spike"])
def test_shape_changes_the_number_of_users(runs, shape):
    load, code, verdict = runs[shape]
    assert code == 0, load.text
    assert 8 <= verdict["users"] <= 10
    (samples,) = load.folder.glob("report/*/server.csv")
    users = [int(line.split(",")[1]) for line in samples.read_text().splitlines()[1:]]
    assert min(users[2:-1]) < max(users)


def fetch(url, form=None):
    data = urllib.parse.urlencode(form).encode() if form else None
    with urllib.request.urlopen(url, data, timeout=PATIENCE) as response:
        return response.read().decode()


def wait_for(name, condition):
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(OSError):
            if (found := condition()) is not None:
                return found
        assert time.monotonic() < deadline, name
        time.sleep(0.1)


@contextlib.contextmanager
def locust(*arguments, output=subprocess.PIPE):
    """Locust in a process of its own, which is killed at the end of the block if it still runs."""
    command = [sys.executable, "-m", "locust", *map(str, arguments), "--keys", "2", "--say-every", "0.3"]
    with subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_locust_web_page_runs_a_scenario(server, tmp_path):
    port = free_port()
    arguments = ("--host", server.url, "--web-host", "127.0.0.1", "--web-port", port, "--report", tmp_path / "report")
    log = tmp_path / "log"
    with log.open("wb") as output, locust("-f", "load/scenarios/steady.py", *arguments, output=output) as process:
        page = f"http://127.0.0.1:{port}"
        wait_for("the web page", lambda: fetch(page) or None)
        fetch(f"{page}/swarm", {"user_count": 5, "spawn_rate": 5, "host": server.url})

        def echoes():
            stats = json.loads(fetch(f"{page}/stats/requests"))["stats"]
            return next((s for s in stats if s["name"] == "echo" and s["num_requests"] > 5), None)

        echo_stats = wait_for("messages", echoes)
        assert echo_stats["num_failures"] == 0
        fetch(f"{page}/stop", {"now": "please"})
        wait_for("the report", lambda: next(iter(tmp_path.glob("report/*/report.html")), None))
        process.terminate()
        process.wait(PATIENCE)
    assert "PASSED" in log.read_text() or "FAILED" in log.read_text()


def blocks(language):
    """The code blocks in the documentation of load tests."""
    page = (ROOT / "docs" / "how-to" / "load-test.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def test_documented_custom_scenario_is_judged(server, tmp_path):
    (source,) = blocks("python")
    (objectives,) = blocks("toml")
    (tmp_path / "shouter.py").write_text(source)
    (tmp_path / "shouter.toml").write_text(objectives)
    arguments = ("--headless", "--users", 3, "--spawn-rate", 3, "--run-time", "5s", "--host", server.url)
    with locust("-f", tmp_path / "shouter.py", *arguments) as process:
        text, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert re.search(r"delivery, count +≥ 1,000 +\d+ +BREACHED", text)
    assert re.search(r"failed operations +≤ 0 % +0 % +met", text)


def test_scenario_without_objectives_allows_no_failure(server, tmp_path):
    (tmp_path / "broken.py").write_text(
        "from load.chat_user import ChatUser\nfrom load.plugin import install\ninstall(__file__)\n"
        "class Broken(ChatUser):\n    def act(self):\n        raise ValueError('a bug of the scenario')\n"
    )
    arguments = ("--headless", "--users", 2, "--spawn-rate", 2, "--run-time", "4s", "--host", server.url)
    with locust("-f", tmp_path / "broken.py", *arguments) as process:
        text, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert re.search(r"crash: a bug of the scenario +[2-8]$", text, re.MULTILINE), text
    assert re.search(r"failed operations +≤ 0 % .*BREACHED", text)


def test_master_accepts_a_separate_worker(server, tmp_path):
    port = free_port()
    lead = ("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", 1)
    load = ("--headless", "--users", 6, "--spawn-rate", 6, "--run-time", "6s", "--host", server.url)
    file = ("-f", "load/scenarios/steady.py")
    master_locust = locust(*file, *lead, *load, "--objectives", NO_LATENCY_LIMITS, "--report", tmp_path)
    worker_locust = locust(*file, "--worker", "--master-host", "127.0.0.1", "--master-port", port)
    with master_locust as master, worker_locust:
        text, _ = master.communicate(timeout=PATIENCE)
    assert master.returncode == 0, text
    (found,) = tmp_path.glob("*/verdict.json")
    successes = counts(json.loads(found.read_text()))
    assert successes["register"] == 6
    assert successes["delivery"] > 0
