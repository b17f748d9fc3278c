"""The synchronous client: threads, Ctrl+C, and an end that leaves no thread behind."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from chat_actors.client import ChatMessage, CommandRefused, ConnectionLost, Identity, generate_key
from chat_actors.client.sync import connect
from chat_actors.client.sync_room import call_in_loop
from chat_actors.server.app import create_app
from chat_actors.server.settings import DataSettings, ServerSettings, Settings
from tests.client.test_room import NO_LIMITS, Roll, Rolled, Shout, Shouted
from tests.patience import PATIENCE
from tests.wire.live_server import LiveServer, fail_test

KEY = generate_key(2048)


@contextlib.contextmanager
def in_thread(make_app):
    """Run a live server in its own event loop. Yields its port."""
    started, stopped = threading.Event(), threading.Event()
    port = 0

    async def run():
        nonlocal port
        async with LiveServer(make_app()) as server:
            port = server.port
            started.set()
            await asyncio.to_thread(stopped.wait)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert started.wait(PATIENCE)
        yield port
    finally:
        stopped.set()
        thread.join(PATIENCE)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    def make_app():
        settings = Settings(
            server=ServerSettings(extensions=("tests.client.test_room:DICE",)),
            data=DataSettings(dir=str(tmp_path_factory.mktemp("data"))),
            limits=NO_LIMITS,
        )
        return create_app(settings, on_failure=fail_test)

    with in_thread(make_app) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(autouse=True)
def _assert_no_thread_left(url):
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before and thread.name.startswith("chat of")]
    assert left == []


def test_sync_room_posts_and_receives(url):
    with (
        connect(url, Identity("alice", KEY)) as alice,
        connect(url, Identity("bobby", KEY)) as bobby,
        alice.room("general") as hers,
        bobby.room("general") as his,
    ):
        receipt = his.say("hello")
        for message in hers:
            assert (message.user_id, message.content, message.seq) == ("bobby", "hello", receipt.seq)
            break
        assert hers.members().count == 2
        assert [message.content for message in hers.history(limit=1).messages] == ["hello"]


def test_sync_extension_command_is_answered(url):
    with connect(url, Identity("alice", KEY), messages=[Shouted]) as chat, chat.room("casino") as room:
        assert room.ask(Roll(sides=8), answer=Rolled).result == 8
        with pytest.raises(CommandRefused, match="at least two sides"):
            room.ask(Roll(sides=1), answer=Rolled)
        assert room.tell(Shout("hey"))
        assert chat.receive(timeout=PATIENCE) == Shouted("HEY")  # without a room, so it is for the user
        assert room.tell(Shout("again"))
        assert next(chat.events()) == Shouted("AGAIN")
        with pytest.raises(TimeoutError):
            chat.receive(timeout=0.05)


def test_sync_room_can_be_open_once(url):
    with (
        connect(url, Identity("alice", KEY)) as chat,
        chat.room("general"),
        pytest.raises(ValueError, match="use that `Room`"),
    ):
        chat.room("general")


def test_closing_ends_the_events_of_the_chat(url):
    received = []
    with connect(url, Identity("alice", KEY)) as chat:
        reading = threading.Thread(target=lambda: received.extend(chat.events()))
        reading.start()
        chat.room("general").join()
    reading.join(PATIENCE)
    assert not reading.is_alive()
    assert received == []


def test_receive_timeout_loses_no_message(url):
    with connect(url, Identity("alice", KEY)) as chat, chat.room("silence") as room:
        with pytest.raises(TimeoutError):
            room.receive_message(timeout=0.05)
        room.say("at last")
        assert room.receive_message(timeout=PATIENCE).content == "at last"


def test_timeout_loses_no_event_that_is_received_late(url):
    """The loop is busy when the timeout passes, and the call gets its event afterwards."""
    release = threading.Event()

    async def receive():
        release.wait(PATIENCE)  # holds up the loop
        return "event"

    with connect(url, Identity("alice", KEY)) as chat:
        timer = threading.Timer(0.05, release.set)
        timer.start()
        assert call_in_loop(chat._portal, url, receive, timeout=0.001) == "event"
        timer.join()


def test_threads_share_a_room(url):
    with connect(url, Identity("alice", KEY)) as chat, chat.room("shared") as room:
        threads = [threading.Thread(target=room.say, args=(str(n),)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        posted = [next(iter(room)).content for _ in range(20)]
        assert sorted(posted, key=int) == [str(n) for n in range(20)]


def test_close_ends_iteration_in_another_thread(url):
    received = []
    with connect(url, Identity("alice", KEY)) as chat:
        room = chat.room("ending")
        room.join()
        reading = threading.Thread(target=lambda: received.extend(event for event in room.events()))
        reading.start()
        room.say("hello")
        deadline = time.monotonic() + PATIENCE
        while not any(isinstance(event, ChatMessage) for event in list(received)) and time.monotonic() < deadline:
            time.sleep(0.001)
    reading.join(PATIENCE)
    assert not reading.is_alive()
    assert [event.content for event in received if isinstance(event, ChatMessage)] == ["hello"]


def test_closed_chat_raises_and_may_close_again(url):
    chat = connect(url, Identity("alice", KEY))
    room = chat.room("general")
    room.join()
    for _ in range(2):
        chat.close()
        room.close()
    with pytest.raises(ConnectionLost, match="was closed"):
        room.say("late")
    with pytest.raises(ConnectionLost, match="was closed"):
        chat.room("another").join()


def test_missing_server_leaves_no_thread():
    identity = Identity("alice", KEY)
    with connect("ws://127.0.0.1:9", identity) as chat, pytest.raises(ConnectionLost, match="is the server up"):
        chat.room("general").join()
    with pytest.raises(ConnectionLost, match="is no address"):
        connect("http://[::1", Identity("alice", KEY))


LISTENER = """
import pathlib, sys
from chat_actors.client import Identity
from chat_actors.client.sync import connect

with connect(sys.argv[1], Identity.load_or_create("carol", pathlib.Path(sys.argv[2]))) as chat:
    room = chat.room("quiet")
    room.join()
    try:
        print("listening", flush=True)
        for message in room:
            pass
    except KeyboardInterrupt:
        print(room.say("interrupted, and still there").seq > 0, flush=True)
"""


def test_ctrl_c_interrupts_only_the_call(url, tmp_path):
    arguments = [sys.executable, "-c", LISTENER, url, tmp_path / "carol.pem"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as listener:
        try:
            assert listener.stdout.readline() == "listening\n"
            listener.send_signal(signal.SIGINT)
            assert listener.communicate(timeout=PATIENCE)[0] == "True\n"
            assert listener.returncode == 0
        finally:
            listener.kill()


FORGETFUL = """
import pathlib, sys
from chat_actors.client import Identity
from chat_actors.client.sync import connect

chat = connect(sys.argv[1], Identity.load_or_create(sys.argv[3], pathlib.Path(sys.argv[2])))
chat.room("quiet").say("and good bye")
print("done", flush=True)
if sys.argv[3] == "clumsy":
    raise ValueError("a mistake")
"""


@pytest.mark.parametrize(("name", "code"), [("david", 0), ("clumsy", 1)])
def test_script_without_close_ends(url, tmp_path, name, code):
    arguments = [sys.executable, "-c", FORGETFUL, url, tmp_path / "key.pem", name]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout == "done\n"
    assert done.returncode == code
    assert done.stderr == "" or done.stderr.endswith("ValueError: a mistake\n")
