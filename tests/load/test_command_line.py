import itertools
import subprocess
import sys

import pytest

from load.command_line import FOLDER, locust_arguments, make_parser, scenarios
from load.keys import cached_keys, keys_folder
from load.wire import Address, BadAddress
from tests.load.harness import ROOT
from tests.patience import PATIENCE


def words_for(*argv):
    return locust_arguments(*make_parser().parse_known_args(argv))


def run(*argv):
    done = subprocess.run(
        [sys.executable, "-m", *argv], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_arguments_become_locust_arguments():
    argv = words_for("churn", "--host", "https://chat.example", "--users", "30", "--minutes", "2.5")
    assert argv[:3] == ["locust", "--locustfile", str(FOLDER / "scenarios" / "churn.py")]
    given = dict(itertools.pairwise(argv))
    assert given["--host"] == "https://chat.example"
    assert given["--users"] == "30"
    assert given["--run-time"] == "150s"
    assert given["--spawn-rate"] == "3.0"
    assert "--headless" in argv
    assert "--processes" not in argv


def test_shape_adds_a_locustfile():
    argv = words_for("steady", "--shape", "steps", "--processes", "2", "--step-users", "5")
    assert argv[2].split(",")[1] == str(FOLDER / "shapes" / "steps.py")
    assert argv[-2:] == ["--step-users", "5"]
    assert argv[argv.index("--processes") + 1] == "2"


def test_help_lists_scenarios_with_questions():
    code, text = run("load", "--help")
    assert code == 0
    for name in scenarios():
        (line,) = [line for line in text.splitlines() if line.startswith(f"  {name} ")]
        assert line.endswith("?")


def test_more_shows_scenario_options():
    code, text = run("load", "reconnect_storm", "--more")
    assert code == 0
    assert "--drop-every" in text
    assert "--room-size" in text


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (("--host", "ftp://x"), "'ftp://x' is not a server address; write it like http://127.0.0.1:8080"),
        (("--objectives", "none.toml"), "cannot read the objectives in none.toml: "),
        (("--ca", "none.pem"), "No such file"),
        (("--server-pid", "99999999"), "there is no process 99999999 to monitor"),
        (("--users", "0"), "must be 1 or more, not 0"),
        (("--room-size", "0"), "must be 1 or more, not 0"),
        (("--shape", "steps", "--step-seconds", "1"), "must be 3.0 or more, not 1"),
    ],
)
def test_bad_options_exit_without_traceback(tmp_path, argv, expected):
    host = () if "--host" in argv else ("--host", "https://127.0.0.1:1")
    code, text = run("load", "steady", "--report", str(tmp_path), *host, *argv)
    assert code == 2
    assert expected in text
    assert "Traceback" not in text


def test_unreachable_server_fails_the_test(tmp_path):
    argv = ("--host", "http://127.0.0.1:1", "--users", "1", "--minutes", "0.03", "--keys", "1")
    code, text = run("load", "steady", "--report", str(tmp_path), *argv)
    assert code == 1
    assert "connect: no connection to 127.0.0.1:1: Connection refused" in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("text", "host", "port", "is_tls"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1", 8080, False),
        ("ws://chat.example", "chat.example", 80, False),
        ("https://chat.example", "chat.example", 443, True),
        ("wss://[::1]:9443/ws", "::1", 9443, True),
    ],
)
def test_address_parses_url(text, host, port, is_tls):
    address = Address.of(text)
    assert (address.host, address.port, address.tls is not None) == (host, port, is_tls)


@pytest.mark.parametrize("text", ["", "chat.example", "ftp://chat.example", "http://", "http://x:y", "http://x:99999"])
def test_address_rejects_invalid_url(text):
    with pytest.raises(BadAddress):
        Address.of(text)


def test_ipv6_authority_has_brackets():
    assert Address.of("http://[::1]:80").authority == "[::1]:80"


def test_keys_are_cached_in_xdg_cache_home(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert keys_folder() == tmp_path / "chat-actors" / "load-keys"
    first = cached_keys(keys_folder(), 2)
    assert [key.public_pem for key in cached_keys(keys_folder(), 2)] == [key.public_pem for key in first]
    assert len(list(keys_folder().iterdir())) == 2


def test_key_count_must_be_a_number():
    code, text = run("load.keys", "many")
    assert (code, text) == (2, "usage: python -m load.keys COUNT\n")
