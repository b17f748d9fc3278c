"""The benchmark against real servers, briefly and with few members. Checks what is delivered, never how fast."""

import itertools
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from load.bench.dialects import Member, PlainJson
from load.bench.generator import LoadGenerator, LostMembers, NotReady
from load.bench.process import ServerProcess, free_port
from load.bench.senders import ClosedLoop, LatencyRecorder, OpenLoop
from load.bench.servers import SERVER_SPECS, MissingDependency, command_of, dialect_of, versions_of
from load.keys import cached_keys
from tests.load.processes import wait_until_ended
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
PYTHON_SPECS = [spec for spec in SERVER_SPECS if not spec.is_node]


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return cached_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(params=PYTHON_SPECS, ids=lambda spec: spec.name)
def generator(request, keys, tmp_path):
    spec, port = request.param, free_port()
    try:
        versions_of(spec, tmp_path)
    except MissingDependency as missing:
        pytest.skip(str(missing))
    command, environ = command_of(spec, port, tmp_path / "data", tmp_path)
    with ServerProcess(spec.name, command, environ, port, None, tmp_path / "log"):
        generator = LoadGenerator(port, dialect_of(spec, keys))
        yield generator
        generator.close()


def test_closed_loop_reaches_every_member(generator):
    members = generator.join([Member(number, "room") for number in range(6)], PATIENCE)
    generator.settle(0.1, PATIENCE)
    loops = [ClosedLoop(members[number], generator.dialect, number, window=3) for number in range(2)]
    generator.read_promptly(members[:2])
    for loop in loops:
        loop.start()
    assert generator.run_until(lambda: loops[0].sent > 20 and loops[1].sent > 20, PATIENCE)
    for loop in loops:
        loop.stop()
    generator.settle(0.2, PATIENCE)
    sent = sum(loop.sent for loop in loops)
    assert [member.tally.chats for member in members] == [sent] * 6
    assert [member.tally.own for member in members[:2]] == [loop.sent for loop in loops]
    generator.check_no_member_lost()


def test_open_loop_stays_in_its_room(generator):
    members = generator.join([Member(number, f"room{number % 2}") for number in range(4)], PATIENCE)
    generator.settle(0.1, PATIENCE)
    latencies = LatencyRecorder()
    latencies.is_on = True
    members[2].watch(latencies)
    open_loop = OpenLoop(members[:1], generator.dialect, per_second=200)
    assert generator.run_until(lambda: open_loop.sent >= 10, PATIENCE, open_loop)
    generator.settle(0.2, PATIENCE)
    assert [member.tally.chats for member in members] == [open_loop.sent, 0, 0, 0]
    assert len(latencies.seconds) == open_loop.sent
    assert all(0 < seconds < PATIENCE for seconds in latencies.seconds)


def benchmark(out, *argv):
    """Start the benchmark's command."""
    command = [sys.executable, "-m", "load.bench", "--quick", "--seconds", "0.3", "--out", str(out), *argv]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_quick_run_writes_results(tmp_path):
    scenarios, servers = ("fan_out", "paced"), ("chat_actors", "websockets")
    process = benchmark(tmp_path, "--scenario", *scenarios, "--server", *servers)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    assert (tmp_path / "results.md").read_text() in output
    rounds = json.loads((tmp_path / "results.json").read_text())["rounds"]
    assert [(one["scenario"], one["server"]) for one in rounds] == list(itertools.product(scenarios, servers))
    for one in rounds:
        assert one["problem"] == ""
        assert min(one["numbers"].values()) >= 0
        assert one["numbers"]["cpu"] > 0


def test_ctrl_c_stops_server_and_keeps_results(tmp_path):
    process = benchmark(tmp_path, "--rounds", "1000", "--scenario", "fan_out", "--server", "websockets")
    lines = iter(process.stdout.readline, "")
    assert next(line for line in lines if line.startswith("[1/1000]"))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + PATIENCE
    while not (servers := children.read_text().split()):
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    wait_until_ended(servers)
    assert json.loads((tmp_path / "results.json").read_text())["rounds"]


def test_generator_detects_lost_member():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        generator = LoadGenerator(listener.getsockname()[1], PlainJson())
        try:
            with pytest.raises(NotReady, match=r"only 0 of 1 clients were ready after 0 s"):
                generator.join([Member(0, "room")], timeout=0.01)
            accepted, _ = listener.accept()
            accepted.close()
            assert generator.run_until(lambda: generator.connections[0].phase == "ended", PATIENCE)
            with pytest.raises(LostMembers, match="1 members were lost"):
                generator.check_no_member_lost()
        finally:
            generator.close()
