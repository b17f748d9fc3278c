"""The whole benchmark against real servers, few and for a short time: what is delivered, never how fast."""

import itertools
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from load.bench.crowd import Crowd, LostMembers, NotReady
from load.bench.dialects import Member, Plain
from load.bench.process import ServerProcess, free_port
from load.bench.senders import ClosedLoop, Latencies, Pacer
from load.bench.servers import KINDS, Missing, command_of, dialect_of, versions_of
from load.keys import cached_keys
from tests.load.endings import wait_until_ended

WITHIN = 20.0
ROOT = Path(__file__).parents[2]
PYTHON_KINDS = [kind for kind in KINDS if not kind.is_node]


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return cached_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(params=PYTHON_KINDS, ids=lambda kind: kind.name)
def crowd(request, keys, tmp_path):
    kind, port = request.param, free_port()
    try:
        versions_of(kind, tmp_path)
    except Missing as missing:
        pytest.skip(str(missing))
    command, environ = command_of(kind, port, tmp_path / "data", tmp_path)
    with ServerProcess(kind.name, command, environ, port, None, tmp_path / "log"):
        crowd = Crowd(port, dialect_of(kind, keys))
        yield crowd
        crowd.close()


def test_every_message_of_a_closed_loop_reaches_every_member(crowd):
    members = crowd.admit([Member(number, "room") for number in range(6)], WITHIN)
    crowd.settle(0.1, WITHIN)
    loops = [ClosedLoop(members[number], crowd.dialect, number, window=3) for number in range(2)]
    crowd.read_in_bulk_but(members[:2])
    for loop in loops:
        loop.start()
    assert crowd.run_until(lambda: loops[0].sent > 20 and loops[1].sent > 20, WITHIN)
    for loop in loops:
        loop.stop()
    crowd.settle(0.2, WITHIN)
    sent = sum(loop.sent for loop in loops)
    assert [member.tally.chats for member in members] == [sent] * 6
    assert [member.tally.own for member in members[:2]] == [loop.sent for loop in loops]
    crowd.check_nobody_lost()


def test_a_paced_message_stays_in_its_room_and_tells_its_latency(crowd):
    members = crowd.admit([Member(number, f"room{number % 2}") for number in range(4)], WITHIN)
    crowd.settle(0.1, WITHIN)
    latencies = Latencies()
    latencies.is_on = True
    members[2].watch(latencies)
    pacer = Pacer(members[:1], crowd.dialect, per_second=200)
    assert crowd.run_until(lambda: pacer.sent >= 10, WITHIN, pacer)
    crowd.settle(0.2, WITHIN)
    assert [member.tally.chats for member in members] == [pacer.sent, 0, 0, 0]
    assert len(latencies.seconds) == pacer.sent
    assert all(0 < seconds < WITHIN for seconds in latencies.seconds)


def benchmark(out, *words):
    """The command, on its way."""
    command = [sys.executable, "-m", "load.bench", "--quick", "--seconds", "0.3", "--out", str(out), *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_quick_run_writes_its_results(tmp_path):
    scenarios, servers = ("fan_out", "paced"), ("chat_actors", "websockets")
    running = benchmark(tmp_path, "--scenario", *scenarios, "--server", *servers)
    printed, _ = running.communicate(timeout=50)
    assert running.returncode == 0, printed
    assert (tmp_path / "results.md").read_text() in printed
    rounds = json.loads((tmp_path / "results.json").read_text())["rounds"]
    assert [(one["scenario"], one["server"]) for one in rounds] == list(itertools.product(scenarios, servers))
    for one in rounds:
        assert one["problem"] == ""
        assert min(one["numbers"].values()) >= 0
        assert one["numbers"]["cpu"] > 0


def test_ctrl_c_ends_the_server_and_keeps_the_results_so_far(tmp_path):
    running = benchmark(tmp_path, "--rounds", "1000", "--scenario", "fan_out", "--server", "websockets")
    lines = iter(running.stdout.readline, "")
    assert next(line for line in lines if line.startswith("[1/1000]"))
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    until = time.monotonic() + WITHIN
    while not (servers := children.read_text().split()):
        assert time.monotonic() < until
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=WITHIN)
    assert running.returncode == 130
    wait_until_ended(servers)
    assert json.loads((tmp_path / "results.json").read_text())["rounds"]


def test_a_member_that_is_gone_is_noticed():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        crowd = Crowd(listener.getsockname()[1], Plain())
        try:
            with pytest.raises(NotReady, match=r"only 0 of 1 clients were in after 0 s"):
                crowd.admit([Member(0, "room")], within=0.01)
            accepted, _ = listener.accept()
            accepted.close()
            assert crowd.run_until(lambda: crowd.connections[0].phase == "ended", WITHIN)
            with pytest.raises(LostMembers, match="1 members were lost"):
                crowd.check_nobody_lost()
        finally:
            crowd.close()
