"""The commands for stored data, as an operator runs them."""

import io
import json
import signal
import sqlite3
import stat
import subprocess
import threading
from datetime import UTC, datetime, timedelta

import pytest

from chat_actors.cli.data import InvalidLine, _messages
from chat_actors.client import Identity, connect, generate_key
from chat_actors.storage import Append, Draft, Retention, SqliteAccounts, SqliteFile, SqliteJournal
from tests.cli.test_commands import PROGRAM, Process, serve
from tests.patience import PATIENCE

pytestmark = pytest.mark.anyio
NOON = datetime(2026, 1, 1, 12, 0, 0, 5000, tzinfo=UTC)


def run(*arguments, stdin=b""):
    done = subprocess.run(
        [*PROGRAM, *map(str, arguments)], input=stdin, capture_output=True, timeout=PATIENCE, check=False
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture
async def folder(tmp_path):
    """A data folder with two users, and a room with 1,234 messages, the oldest 100 of which have been pruned."""
    file = await SqliteFile.open(tmp_path / "data" / "chat.db")
    accounts, journal = SqliteAccounts(file), SqliteJournal(file)
    await accounts.register("alice", b"key")
    await accounts.register("bob", b"key")
    contents = [f"{n} \u2028\x00 \U0001f600" for n in range(1234)]
    for n, content in enumerate(contents):
        if n % 100 == 0:
            batch = [Draft("alice", content) for content in contents[n : n + 100]]
            await journal.commit([Append("red", batch)], NOON + timedelta(seconds=n))
    await journal.prune(Retention(keep_messages=1134), NOON)
    await journal.aclose()
    await accounts.aclose()
    return tmp_path / "data"


async def test_export_and_import_round_trip(folder, tmp_path):
    code, out, err = run("export", "red", "--dir", folder)
    assert (code, err) == (0, "")
    lines = [json.loads(line) for line in out.strip().split("\n")]
    assert [line["seq"] for line in lines] == list(range(101, 1235))
    assert lines[0] == {
        "seq": 101,
        "userId": "alice",
        "content": "100 \u2028\x00 \U0001f600",
        "timestamp": "2026-01-01T12:01:40.005Z",
    }
    code, _, err = run("export", "red", "--dir", folder, "--out", tmp_path / "red.jsonl")
    assert (code, (tmp_path / "red.jsonl").read_text()) == (0, out)
    for source in (("import", "blue", tmp_path / "red.jsonl"), ("import", "green")):
        code, _, err = run(*source, "--dir", folder, stdin=out.encode())
        assert (code, err) == (0, f"1134 messages were put into {source[1]} in {folder}\n")
        again = [json.loads(line) for line in run("export", source[1], "--dir", folder)[1].strip().split("\n")]
        assert [line.pop("seq") for line in again] == list(range(1, 1135))
        assert again == [{key: value for key, value in line.items() if key != "seq"} for line in lines]


async def test_import_into_used_room_needs_append(folder):
    line = b'{"userId": "bob", "content": "hi", "timestamp": "2026-01-01T00:00:00+02:00"}\n'
    code, _, err = run("import", "red", "--dir", folder, stdin=line)
    assert code == 1
    assert "add --append" in err
    assert run("import", "red", "--append", "--dir", folder, stdin=line)[0] == 0
    last = json.loads(run("export", "red", "--dir", folder)[1].splitlines()[-1])
    assert last == {"seq": 1235, "userId": "bob", "content": "hi", "timestamp": "2025-12-31T22:00:00.000Z"}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("nonsense", "line 3: "),
        ('{"userId": "bob", "content": "hi"}', "line 3: Object missing required field `timestamp`"),
        ('{"userId": "b b", "content": "hi", "timestamp": "2026-01-01T00:00:00Z"}', "cannot be a user id"),
        ('{"userId": "bob", "content": "", "timestamp": "2026-01-01T00:00:00Z"}', "the content is empty"),
        ('{"userId": "bob", "content": "hi", "timestamp": "2026-01-01T00:00:00"}', "no time zone"),
        ('{"userId": "bot:b b", "content": "hi", "timestamp": "2026-01-01T00:00:00Z"}', "cannot be a user id"),
        ('{"userId": "bob\\n", "content": "hi", "timestamp": "2026-01-01T00:00:00Z"}', "line 3: 'bob\\n' cannot be"),
        ('{"userId": "bob", "content": "\\ud800", "timestamp": "2026-01-01T00:00:00Z"}', "line 3: "),
        (
            '{"userId": "bob", "content": "%s", "timestamp": "2026-01-01T00:00:00Z"}' % ("x" * 4001),
            "limits.content_chars",
        ),
        ('{"userId": "bob", "x": %s, "content": "hi"}' % ("[" * 100_000), "line 3: "),
    ],
)
async def test_invalid_line_aborts_the_import(folder, line, problem):
    good = '{"userId": "bob", "content": "hi", "timestamp": "2026-01-01T00:00:00Z"}\n'
    code, _, err = run("import", "blue", "--dir", folder, stdin=f"{good}\n{line}\n{good}".encode())
    assert code == 1
    assert problem in err
    assert "nothing was imported" in err
    assert len(err.splitlines()) == 1
    assert run("export", "blue", "--dir", folder)[2] == "chat-actors: nothing was ever said in a room 'blue'\n"


async def test_refused_import_makes_no_folder(tmp_path):
    bad = b'{"userId": "bob", "content": "hi"}'
    for room, line in (("blue", bad), ("bl\nue", b""), ("x" * 129, b"")):
        assert run("import", room, "--dir", tmp_path / "new", stdin=line)[0] == 1
        assert not (tmp_path / "new").exists()


async def test_import_follows_the_limits_of_the_settings(tmp_path):
    config = tmp_path / "chat.toml"
    config.write_text(f'[data]\ndir = "{tmp_path / "data"}"\n[limits]\ncontent_chars = 5000\n')
    for length, code in ((5001, 1), (5000, 0)):
        line = json.dumps({"userId": "bob", "content": "x" * length, "timestamp": "2026-01-01T00:00:00Z"}).encode()
        assert run("import", "blue", "--config", config, stdin=line)[0] == code


async def test_everything_that_can_be_stored_survives_the_round_trip(tmp_path):
    """A bot's message, the longest content, control characters, and the first and last times."""
    file = await SqliteFile.open(tmp_path / "data" / "chat.db")
    journal = SqliteJournal(file)
    contents = ("x" * 4000, "\U0001f600" * 4000, "".join(map(chr, range(32))), '"\\\u2028')
    drafts = [Draft(user_id, content) for user_id in ("bob", "bot:ci-bot") for content in contents]
    times = [datetime(1, 1, 1, tzinfo=UTC), datetime(999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC), NOON]
    for at in (*times, datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)):
        await journal.commit([Append("red", drafts)], at)
    await journal.aclose()
    code, out, _ = run("export", "red", "--dir", tmp_path / "data")
    assert (code, out.count("\n")) == (0, 32)
    assert run("import", "red", "--dir", tmp_path / "other", stdin=out.encode())[0] == 0
    assert run("export", "red", "--dir", tmp_path / "other")[1] == out


async def test_running_server_allows_only_reading(tmp_path):
    server, url = await serve(tmp_path)
    folder = tmp_path / "data"
    async with server:
        async with connect(url, Identity("alice", generate_key(2048))) as chat, chat.room("red") as room:
            await room.say("hello")
            assert json.loads(run("export", "red", "--dir", folder)[1])["content"] == "hello"
            assert run("users", "list", "--dir", folder)[1].startswith("alice\t20")
            assert run("backup", tmp_path / "copy.db", "--dir", folder)[0] == 0
            line = b'{"userId": "bob", "content": "hi", "timestamp": "2026-01-01T00:00:00Z"}'
            for change in (("import", "blue"), ("users", "remove", "alice", "--yes")):
                code, _, err = run(*change, "--dir", folder, stdin=line)
                assert code == 1
                assert f"process {server.process.pid} is using it; end that first" in err
            second = await Process.start("serve", "--bind", "127.0.0.1:0", "--dir", folder)
            code, output = await second.finish()
            assert code == 1
            assert f"process {server.process.pid} is using it" in output
        server.process.send_signal(signal.SIGKILL)
        await server.finish()
    assert run("users", "remove", "alice", "--yes", "--dir", folder)[0] == 0


async def test_backup_is_complete_private_and_new(folder, tmp_path):
    copy = tmp_path / "copy.db"
    code, _, err = run("backup", copy, "--dir", folder)
    assert (code, err) == (0, f"{copy} holds all accounts and messages; keep it to yourself\n")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    database = sqlite3.connect(copy)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
    for leftover in tmp_path.glob("copy.db-*"):
        leftover.unlink()
    code, _, err = run("backup", copy, "--dir", folder)
    assert code == 1
    assert "name another, or remove that" in err
    restored = tmp_path / "restored"
    restored.mkdir()
    copy.rename(restored / "chat.db")
    assert run("export", "red", "--dir", restored)[1] == run("export", "red", "--dir", folder)[1]
    assert not list(tmp_path.glob("*.partial"))


async def test_backup_is_a_snapshot_during_writes(tmp_path):
    file = await SqliteFile.open(tmp_path / "chat.db")
    journal = SqliteJournal(file)
    for _ in range(30):
        await journal.commit([Append("red", [Draft("ann", "x" * 1000) for _ in range(200)])], NOON)
    other = sqlite3.connect(tmp_path / "chat.db", isolation_level=None, check_same_thread=False)
    reports = []

    def write_meanwhile(left, total):
        reports.append((left, total))
        other.execute("INSERT INTO rooms (room_id) VALUES (?)", (f"meanwhile {len(reports)}",))

    before = (await journal.extent("red")).last
    await file.copy_to(tmp_path / "copy.db", write_meanwhile)
    other.close()
    await journal.aclose()
    assert len(reports) > 1
    assert reports[-1][0] == 0
    copied = await SqliteFile.open(tmp_path / "copy.db")
    journal = SqliteJournal(copied)
    assert (await journal.extent("red")).last == before
    rooms = await copied.read("count", lambda database: database.execute("SELECT count(*) FROM rooms").fetchone())
    assert rooms == (1,)
    await journal.aclose()


async def test_users_are_listed_and_removed(folder):
    assert [line.split("\t")[0] for line in run("users", "list", "--dir", folder)[1].splitlines()] == ["alice", "bob"]
    code, _, err = run("users", "remove", "alice", "--dir", folder, stdin=b"n\n")
    assert code == 1
    assert "nothing was removed" in err
    assert run("users", "remove", "alice", "--dir", folder, stdin=b"y\n")[0] == 0
    assert run("users", "list", "--dir", folder)[1].startswith("bob\t")
    code, _, err = run("users", "remove", "alice", "--yes", "--dir", folder)
    assert code == 1
    assert "there is no user 'alice'" in err


async def test_failed_export_prints_one_line(folder):
    code, _, err = run("export", "red", "--dir", folder, "--out", "/dev/full")
    assert code == 1
    assert len(err.splitlines()) == 1
    assert "No space left" in err


async def test_import_creates_the_data_folder(tmp_path):
    line = b'{"userId": "ann", "content": "hello", "timestamp": "2026-01-01T00:00:00Z"}\n'
    code, _, err = run("import", "red", "--dir", tmp_path / "new", stdin=line)
    assert (code, err) == (0, f"1 messages were put into red in {tmp_path / 'new'}\n")
    code, out, _ = run("export", "red", "--dir", tmp_path / "new")
    assert "hello" in out


async def test_timestamp_out_of_range_is_invalid(tmp_path):
    line = b'{"userId": "ann", "content": "hello", "timestamp": "0001-01-01T00:00:00+05:00"}\n'
    code, _, err = run("import", "red", "--dir", tmp_path, stdin=line)
    assert code == 1
    assert "line 1: the timestamp is before the year 1" in err


def test_aborted_import_imports_nothing():
    is_aborted = threading.Event()
    lines = io.BytesIO(b'{"userId": "ann", "content": "hello", "timestamp": "2026-01-01T00:00:00Z"}\n' * 3)
    reading = _messages("red", lines, is_aborted)
    next(reading)
    is_aborted.set()
    with pytest.raises(InvalidLine, match="line 2: the import was aborted; nothing was imported"):
        next(reading)


@pytest.mark.parametrize("command", [("export", "red"), ("backup", "x"), ("users", "list")])
async def test_commands_do_not_create_a_data_folder(tmp_path, command):
    code, _, err = run(*command, "--dir", tmp_path / "nowhere")
    assert code == 1
    assert "there are no data in" in err
    assert not (tmp_path / "nowhere").exists()
