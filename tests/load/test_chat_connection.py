"""A virtual user's connection over real sockets: HTTP/1.1 and HTTP/2, with and without TLS."""

import random
import socket
import threading
from contextlib import ExitStack, closing

import pytest

from chat_actors.client import AccessRefused
from load.chat_connection import ChatConnection
from load.delivery_checks import DeliveryChecker, MessageStamper
from load.keys import cached_keys
from load.outcomes import CommandRefused, ResponseTimeout
from load.wire import Address, Closed, Http2Connection, Unreachable, UpgradeRefused, WebSocket
from tests.load.harness import Server
from tests.patience import PATIENCE
from tests.wire.certificate import write_certificate


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return write_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return cached_keys(tmp_path_factory.mktemp("keys"), 2)


@pytest.fixture(scope="module")
def servers(tmp_path_factory, certificate):
    certfile, keyfile = certificate
    with (
        Server(tmp_path_factory.mktemp("clear")) as clear,
        Server(tmp_path_factory.mktemp("tls"), "none", "--certfile", certfile, "--keyfile", keyfile) as tls,
    ):
        yield {False: Address.of(clear.url), True: Address.of(tls.url, str(certfile))}


@pytest.fixture(params=["http1", "http2", "http1-tls", "http2-tls"])
def open_websocket(request, servers):
    """A function that opens a WebSocket to the server."""
    address = servers[request.param.endswith("tls")]
    with ExitStack() as opened:
        if request.param.startswith("http2"):
            connection = Http2Connection.open(address, PATIENCE)
            opened.callback(connection.close)
            yield lambda: connection.open_websocket(PATIENCE)
        else:
            yield lambda: WebSocket.open(address, PATIENCE)


class RecordingReporter:
    """Keeps the reported outcomes."""

    def __init__(self):
        self.successes = []
        self.failures = []

    def report_success(self, name, ms):
        assert ms >= 0
        self.successes.append(name)

    def report_failure(self, name, error):
        self.failures.append((name, str(error)))


class ChatUser:
    """A virtual user with any number of connections."""

    def __init__(self, name, key):
        self.user_id = f"{name}-{random.randrange(10**9)}"
        self.key = key
        self.reporter = RecordingReporter()
        self.checker = DeliveryChecker()
        self.stamper = MessageStamper(self.user_id)

    def connect(self, open_socket):
        connection = ChatConnection(
            open_socket(), self.user_id, self.key.private, self.reporter, self.checker, self.stamper
        )
        try:
            connection.log_in()
        except BaseException:
            connection.abort()
            raise
        return connection


@pytest.fixture
def ann(keys):
    return ChatUser("ann", keys[0])


@pytest.fixture
def ben(keys):
    return ChatUser("ben", keys[1])


def random_room():
    return f"room-{random.randrange(10**9)}"


def test_every_operation_reports_success(open_websocket, ann, ben):
    room = random_room()
    with closing(ann.connect(open_websocket)) as ann_connection, closing(ben.connect(open_websocket)) as ben_connection:
        assert ann.reporter.successes == ["challenge", "register", "challenge", "authenticate"]
        ann_connection.join(room)
        ben_connection.join(room)
        ann_connection.send_message(50)
        ben_connection.listen(0.2)
        assert [len(message.content) for message in ben_connection.read_history().messages] == [50]
        ben_connection.switch(random_room())
        ben_connection.leave()
        ann_connection.send_message()
    assert ann.reporter.successes[-3:] == ["join", "echo", "echo"]
    assert ben.reporter.successes[-5:] == ["join", "delivery", "history", "switch", "leave"]
    assert ann.reporter.failures == ben.reporter.failures == []


def test_recover_receives_missed_messages(open_websocket, ann, ben):
    room = random_room()
    ann_connection = ann.connect(open_websocket)
    with closing(ben.connect(open_websocket)) as ben_connection:
        ann_connection.join(room)
        ben_connection.join(room)
        ben_connection.send_message()
        ann_connection.listen(0.2)
        ann_connection.abort()
        for _ in range(20):
            ben_connection.send_message()
        with closing(ann.connect(open_websocket)) as again:
            assert again.recover(room).missed == 20
            ben_connection.send_message()
            again.listen(0.2)
    assert ann.reporter.successes[-2:] == ["recover", "delivery"]
    assert ann.reporter.failures == []


def test_error_is_reported_under_its_operation(open_websocket, ann):
    with closing(ann.connect(open_websocket)) as connection:
        with pytest.raises(CommandRefused, match="not_in_room"):
            connection.send_message()
        with pytest.raises(CommandRefused, match="invalid_room_id"):
            connection.join("\n")
    assert ann.reporter.failures == [("echo", "error not_in_room"), ("join", "error invalid_room_id")]


def test_server_close_raises_closed_with_code(open_websocket, ann):
    with closing(ann.connect(open_websocket)) as connection:
        connection.send_text("x" * 100_000)
        with pytest.raises(Closed) as closed:
            connection.listen(PATIENCE)
        assert closed.value.code == 1009
        with pytest.raises(Closed):
            connection.send_message()
    assert ann.reporter.failures[-1][0] == "echo"


def test_listen_for_error_returns_rate_limit(open_websocket, ann):
    with closing(ann.connect(open_websocket)) as connection:
        connection.join(random_room())
        for _ in range(200):
            connection.send_message_nowait()
        assert connection.listen_for_error(PATIENCE) == "too_many_messages"


def test_login_with_wrong_key_is_refused(open_websocket, ann, keys):
    ann.connect(open_websocket).close()
    ann.key = keys[1]
    with pytest.raises(AccessRefused):
        ann.connect(open_websocket)
    assert ann.reporter.failures[-1][0] == "authenticate"


def test_connect_to_unused_port_is_unreachable(servers):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        unused = Address.of(f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(Unreachable, match="refused"):
            WebSocket.open(unused, PATIENCE)


def test_untrusted_certificate_is_unreachable(servers):
    untrusted = Address.of(f"https://localhost:{servers[True].port}")
    with pytest.raises(Unreachable, match="certificate"):
        WebSocket.open(untrusted, PATIENCE)


def test_http_error_raises_upgrade_refused():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
                connection.recv(4096)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            with pytest.raises(UpgradeRefused, match="503"):
                WebSocket.open(Address.of(f"http://127.0.0.1:{listening.getsockname()[1]}"), PATIENCE)
        finally:
            thread.join(PATIENCE)


def test_open_times_out_on_silent_server():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = Address.of(f"http://127.0.0.1:{listening.getsockname()[1]}")
        with pytest.raises(TimeoutError):
            WebSocket.open(address, 0.1)


def test_receive_raises_response_timeout(open_websocket, ann):
    with closing(ann.connect(open_websocket)) as connection, pytest.raises(ResponseTimeout):
        connection._receive(0.05)


def test_overdue_operation_fails_at_test_end(open_websocket, ann, monkeypatch):
    monkeypatch.setattr("load.chat_connection.OVERDUE_AFTER", 0.0)
    with closing(ann.connect(open_websocket)) as connection:
        connection.fail_overdue()
        assert ann.reporter.failures == []
        connection._start("history")
        connection.fail_overdue()
    assert ann.reporter.failures == [("history", "no response in time")]


def test_http2_stream_limit_is_reported(servers):
    connection = Http2Connection.open(servers[False], PATIENCE)
    with closing(connection):
        connection.open_websocket(PATIENCE)
        allowed = connection._h2.remote_settings.max_concurrent_streams
        for _ in range(allowed - 1):
            connection.open_websocket(PATIENCE)
        with pytest.raises(UpgradeRefused, match="stream limit"):
            connection.open_websocket(PATIENCE)
