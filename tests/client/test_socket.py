"""What is said of a connection that cannot be made: what is wrong, and what to do."""

import ssl

import pytest

from chat_actors.chat import Storage
from chat_actors.client import ConnectionLost
from chat_actors.client.socket import ClientSocket, PermanentFailure, websocket_url
from chat_actors.server.app import create_app
from chat_actors.server.settings import Settings
from chat_actors.storage import MemoryAccounts, MemoryJournal
from tests.wire.certificate import write_certificate
from tests.wire.live_server import LiveServer, fail_test

pytestmark = pytest.mark.anyio


@pytest.fixture
def app():
    return create_app(Settings(), on_failure=fail_test, storage=Storage(MemoryAccounts(), MemoryJournal()))


async def problem(url, tls=None):
    with pytest.raises(ConnectionLost) as failed:
        await ClientSocket.open(websocket_url(url), tls)
    assert failed.value.url == websocket_url(url)
    return type(failed.value), failed.value.problem


async def test_who_speaks_tls_to_a_server_without_is_told_of_the_other_scheme(app):
    async with LiveServer(app) as server:
        kind, text = await problem(f"https://127.0.0.1:{server.port}")
    assert kind is ConnectionLost
    assert text.endswith("; does it speak http:// (ws://), without TLS?")


async def test_who_speaks_no_tls_to_a_server_with_it_is_told_of_the_other_scheme(app, tmp_path):
    certfile, keyfile = write_certificate(tmp_path)
    async with LiveServer(app, certfile=certfile, keyfile=keyfile) as server:
        kind, text = await problem(f"http://127.0.0.1:{server.port}")
    assert kind is ConnectionLost
    assert text.startswith("is no chat server: ")
    assert text.endswith("; does it speak https:// (wss://)?")


async def test_a_certificate_that_is_not_trusted_is_told_with_the_way_to_trust_it(app, tmp_path):
    certfile, keyfile = write_certificate(tmp_path)
    async with LiveServer(app, certfile=certfile, keyfile=keyfile) as server:
        url = f"https://localhost:{server.port}"
        kind, text = await problem(url)
        assert kind is PermanentFailure  # it will be no other one in a minute
        assert text.startswith("its certificate is not trusted: self-signed certificate")
        assert text.endswith("; name those to trust, with --ca FILE or `tls=`")
        await (await ClientSocket.open(websocket_url(url), ssl.create_default_context(cafile=certfile))).aclose()


async def test_where_nobody_listens_the_server_may_not_be_up(free_tcp_port):
    kind, text = await problem(f"http://127.0.0.1:{free_tcp_port}")
    assert kind is ConnectionLost
    assert text.endswith("; is the server up?")


@pytest.mark.parametrize("url", ["http://", "ftp://127.0.0.1", "http://[::1", "nonsense://"])
async def test_what_is_no_address_is_tried_once(url):
    with pytest.raises(PermanentFailure):
        await ClientSocket.open(websocket_url(url), None)


async def test_another_kind_of_server_is_told_apart(app):
    async with LiveServer(app) as server:
        kind, text = await problem(f"http://127.0.0.1:{server.port}/elsewhere")
    assert kind is ConnectionLost
    assert "is no chat server: server rejected WebSocket connection: HTTP 404" in text
