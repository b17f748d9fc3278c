"""The compared servers: their commands, order and dialects, and that no process is left over."""

import base64
import sys

import pytest

from load.bench.dialects import ChatActors, Member, PlainJson, RefusedByServer, SocketIO
from load.bench.process import ServerFailed, ServerProcess, free_port
from load.bench.rounds import Plan, schedule
from load.bench.scenarios import SCENARIOS
from load.bench.senders import content, sent_at
from load.bench.servers import SERVER_SPECS, MissingDependency, ServerSpec, command_of, versions_of
from load.keys import cached_keys
from tests.load.processes import wait_until_ended

LISTENING = """
import socket, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(60)
"""


def plan(tmp_path, scenarios=SCENARIOS, rounds=2):
    return Plan(scenarios, SERVER_SPECS, rounds, 1.0, True, [], tmp_path, tmp_path, None)


def server(tmp_path, source):
    port = free_port()
    return ServerProcess("demo", [sys.executable, "-c", source, str(port)], {}, port, None, tmp_path / "log")


def test_schedule_interleaves_servers(tmp_path):
    scenario = next(one for one in SCENARIOS if one.name == "fan_out")
    order = [(number, spec.name) for number, _, spec in schedule(plan(tmp_path, [scenario]))]
    names = [spec.name for spec in SERVER_SPECS]
    assert order == [(1, name) for name in names] + [(2, name) for name in names]


def test_schedule_omits_peers_without_login(tmp_path):
    scheduled = {(scenario.name, spec.name) for _, scenario, spec in schedule(plan(tmp_path))}
    assert {name for scenario, name in scheduled if scenario == "logins"} == {"chat_actors"}


def test_server_and_scenario_names_are_unique():
    for names in ([spec.name for spec in SERVER_SPECS], [scenario.name for scenario in SCENARIOS]):
        assert len(set(names)) == len(names)


def test_command_placeholders_are_replaced(tmp_path):
    ours = SERVER_SPECS[0]
    command, environ = command_of(ours, 4711, tmp_path / "data", tmp_path / "node")
    assert command[0] == sys.executable
    assert "127.0.0.1:4711" in command
    assert environ["CHAT_ACTORS_DATA__DIR"] == str(tmp_path / "data")


def test_missing_package_is_reported_with_remedy(tmp_path):
    spec = ServerSpec("absent", "Absent", "plain", (), ("a-package-that-does-not-exist",))
    with pytest.raises(MissingDependency, match=r"absent is skipped: .* is not installed; pip install '\.\[bench\]'"):
        versions_of(spec, tmp_path)


def test_server_process_includes_its_children(tmp_path):
    with server(tmp_path, LISTENING) as running:
        pids = list(running._pids())
        assert len(pids) == 2
        assert running.cpu_seconds() > 0
        assert 0 < running.memory_bytes() <= running.peak_memory_bytes()
        assert running.open_descriptors() > 0
    wait_until_ended(pids)


def test_server_process_stops_on_interrupt(tmp_path):
    pids = []

    def measure():
        with server(tmp_path, LISTENING) as running:
            pids.extend(running._pids())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure()
    assert len(pids) == 2
    wait_until_ended(pids)


def test_server_start_failure_names_the_reason(tmp_path):
    with pytest.raises(ServerFailed, match="demo ended with exit code 3: no such luck"):
        server(tmp_path, "import sys; print('no such luck'); sys.exit(3)").__enter__()


def test_chat_actors_script_logs_in_and_joins(tmp_path):
    key = cached_keys(tmp_path)[7]
    script = ChatActors(cached_keys(tmp_path)).join_script(Member(7, "room"))
    assert b'"register"' in next(script)
    assert script.send(b'{"type":"registered"}') == b'{"type":"get_challenge"}'
    challenge = b"c" * 32
    answer = script.send(b'{"type":"challenge","challenge":"' + base64.b64encode(challenge) + b'"}')
    assert base64.b64encode(key.sign(challenge)) in answer
    assert b'"join"' in script.send(b'{"type":"authenticated"}')
    assert script.send(b'{"type":"user_joined"}') is None
    with pytest.raises(StopIteration):
        script.send(b'{"type":"joined"}')


def test_script_raises_on_refusal():
    script = PlainJson().join_script(Member(1, "room"))
    next(script)
    with pytest.raises(RefusedByServer, match="no room"):
        script.send(b'{"type":"error","message":"no room"}')


def test_socket_io_script_connects_and_joins():
    script = SocketIO().join_script(Member(1, "room"))
    assert next(script) is None
    assert script.send(b'0{"sid":"x"}') == b"40"
    assert script.send(b'40{"sid":"y"}') == b'42["join",{"userId":"user00001","roomId":"room"}]'
    with pytest.raises(StopIteration):
        script.send(b'42["joined",{}]')


def test_message_contains_its_send_time():
    assert sent_at(PlainJson().message_text(content(3, 1234567890))) == 1234567890
    assert sent_at(b'{"type":"user_joined"}') is None
    assert len(content(3, 1, 2500)) == 2500
