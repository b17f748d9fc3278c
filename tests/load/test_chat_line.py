"""One user's line over real sockets: HTTP/1.1 and HTTP/2, in the clear and with TLS, in a thread of the test."""

import random
import socket
import threading
from contextlib import ExitStack, closing

import pytest

from chat_actors.client import Refused
from load.chat_line import ChatLine, NoAnswer, Rejected
from load.deliveries import Listener, Marker
from load.keys import cached_keys
from load.wire import Address, Closed, Http2Connection, NotAccepted, Unreachable, WebSocket
from tests.load.running import Server
from tests.wire.certificate import write_certificate

WITHIN = 10.0


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
def way(request, servers):
    """How to open a WebSocket, as often as one likes."""
    address = servers[request.param.endswith("tls")]
    with ExitStack() as opened:
        if request.param.startswith("http2"):
            connection = Http2Connection.open(address, WITHIN)
            opened.callback(connection.close)
            yield lambda: connection.open_websocket(WITHIN)
        else:
            yield lambda: WebSocket.open(address, WITHIN)


class Reported:
    """Keeps what was reported."""

    def __init__(self):
        self.good = []
        self.bad = []

    def done(self, name, ms):
        assert ms >= 0
        self.good.append(name)

    def failed(self, name, error):
        self.bad.append((name, str(error)))


class Person:
    """A user over any number of lines."""

    def __init__(self, name, key):
        self.user_id = f"{name}-{random.randrange(10**9)}"
        self.key = key
        self.reported = Reported()
        self.listener = Listener()
        self.marker = Marker(self.user_id)

    def come(self, open_socket):
        line = ChatLine(open_socket(), self.user_id, self.key.private, self.reported, self.listener, self.marker)
        try:
            line.log_in()
        except BaseException:
            line.drop()
            raise
        return line


@pytest.fixture
def ann(keys):
    return Person("ann", keys[0])


@pytest.fixture
def ben(keys):
    return Person("ben", keys[1])


def a_room():
    return f"room-{random.randrange(10**9)}"


def test_every_exchange_goes_well_and_is_reported(way, ann, ben):
    room = a_room()
    with closing(ann.come(way)) as ann_line, closing(ben.come(way)) as ben_line:
        assert ann.reported.good == ["challenge", "register", "challenge", "authenticate"]
        ann_line.join(room)
        ben_line.join(room)
        ann_line.say(50)
        ben_line.listen(0.2)
        assert [len(message.content) for message in ben_line.read_history().messages] == [50]
        ben_line.switch(a_room())
        ben_line.leave()
        ann_line.say()
    assert ann.reported.good[-3:] == ["join", "echo", "echo"]
    assert ben.reported.good[-5:] == ["join", "delivery", "history", "switch", "leave"]
    assert ann.reported.bad == ben.reported.bad == []


def test_who_comes_back_recovers_what_was_missed(way, ann, ben):
    room = a_room()
    ann_line = ann.come(way)
    with closing(ben.come(way)) as ben_line:
        ann_line.join(room)
        ben_line.join(room)
        ben_line.say()
        ann_line.listen(0.2)
        ann_line.drop()
        for _ in range(20):
            ben_line.say()
        with closing(ann.come(way)) as again:
            assert again.recover(room).missed == 20
            ben_line.say()
            again.listen(0.2)
    assert ann.reported.good[-2:] == ["recover", "delivery"]
    assert ann.reported.bad == []


def test_an_error_is_reported_under_the_exchange_that_met_it(way, ann):
    with closing(ann.come(way)) as line:
        with pytest.raises(Rejected, match="not_in_room"):
            line.say()
        with pytest.raises(Rejected, match="invalid_room_id"):
            line.join("\n")
    assert ann.reported.bad == [("echo", "error not_in_room"), ("join", "error invalid_room_id")]


def test_a_close_is_told_with_its_code(way, ann):
    with closing(ann.come(way)) as line:
        line.send_text("x" * 100_000)
        with pytest.raises(Closed) as closed:
            line.listen(WITHIN)
        assert closed.value.code == 1009
        with pytest.raises(Closed):
            line.say()
    assert ann.reported.bad[-1][0] == "echo"


def test_who_sends_too_fast_hears_so(way, ann):
    with closing(ann.come(way)) as line:
        line.join(a_room())
        for _ in range(200):
            line.say_nowait()
        assert line.listen_for_error(WITHIN) == "too_many_messages"


def test_somebody_elses_key_is_refused(way, ann, keys):
    ann.come(way).close()
    ann.key = keys[1]
    with pytest.raises(Refused):
        ann.come(way)
    assert ann.reported.bad[-1][0] == "authenticate"


def test_nobody_listens_there(servers):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = Address.of(f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(Unreachable, match="refused"):
            WebSocket.open(nobody, WITHIN)


def test_a_certificate_that_is_not_trusted_is_refused(servers):
    stranger = Address.of(f"https://localhost:{servers[True].port}")
    with pytest.raises(Unreachable, match="certificate"):
        WebSocket.open(stranger, WITHIN)


def test_who_does_not_speak_websocket_is_told_apart():
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
            with pytest.raises(NotAccepted, match="503"):
                WebSocket.open(Address.of(f"http://127.0.0.1:{listening.getsockname()[1]}"), WITHIN)
        finally:
            thread.join(WITHIN)


def test_who_says_nothing_is_waited_for_no_longer_than_was_asked():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = Address.of(f"http://127.0.0.1:{listening.getsockname()[1]}")
        with pytest.raises(TimeoutError):
            WebSocket.open(address, 0.1)


def test_no_answer_is_told_after_its_time(way, ann):
    with closing(ann.come(way)) as line, pytest.raises(NoAnswer):
        line._receive(0.05)


def test_an_exchange_that_is_still_under_way_at_the_end_has_failed(way, ann, monkeypatch):
    monkeypatch.setattr("load.chat_line.OVERDUE", 0.0)
    with closing(ann.come(way)) as line:
        line.give_up()
        assert ann.reported.bad == []
        line._begin("history")
        line.give_up()
    assert ann.reported.bad == [("history", "no answer in time")]


def test_a_connection_takes_no_more_streams_than_the_server_allows(servers):
    connection = Http2Connection.open(servers[False], WITHIN)
    with closing(connection):
        connection.open_websocket(WITHIN)
        allowed = connection._h2.remote_settings.max_concurrent_streams
        for _ in range(allowed - 1):
            connection.open_websocket(WITHIN)
        with pytest.raises(NotAccepted, match="as many streams"):
            connection.open_websocket(WITHIN)
