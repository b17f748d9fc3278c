"""`ClientSocket`: errors name the problem and hint at the solution."""

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


async def test_tls_to_plain_server_hints_at_http(app):
    async with LiveServer(app) as server:
        cls, text = await problem(f"https://127.0.0.1:{server.port}")
    assert cls is ConnectionLost
    assert text.endswith("; does it speak http:// (ws://), without TLS?")


async def test_plain_to_tls_server_hints_at_https(app, tmp_path):
    certfile, keyfile = write_certificate(tmp_path)
    async with LiveServer(app, certfile=certfile, keyfile=keyfile) as server:
        cls, text = await problem(f"http://127.0.0.1:{server.port}")
    assert cls is ConnectionLost
    assert text.startswith("is no chat server: ")
    assert text.endswith("; does it speak https:// (wss://)?")


async def test_untrusted_certificate_hints_at_ca(app, tmp_path):
    certfile, keyfile = write_certificate(tmp_path)
    async with LiveServer(app, certfile=certfile, keyfile=keyfile) as server:
        url = f"https://localhost:{server.port}"
        cls, text = await problem(url)
        assert cls is PermanentFailure  # another attempt would meet the same certificate
        assert text.startswith("its certificate is not trusted: self-signed certificate")
        assert text.endswith("; name those to trust, with --ca FILE or `tls=`")
        await (await ClientSocket.open(websocket_url(url), ssl.create_default_context(cafile=certfile))).aclose()


async def test_closed_port_asks_whether_server_is_up(free_tcp_port):
    cls, text = await problem(f"http://127.0.0.1:{free_tcp_port}")
    assert cls is ConnectionLost
    assert text.endswith("; is the server up?")


@pytest.mark.parametrize("url", ["http://", "ftp://127.0.0.1", "http://[::1", "nonsense://"])
async def test_invalid_address_is_permanent(url):
    with pytest.raises(PermanentFailure):
        await ClientSocket.open(websocket_url(url), None)


async def test_other_http_server_is_recognized(app):
    async with LiveServer(app) as server:
        cls, text = await problem(f"http://127.0.0.1:{server.port}/elsewhere")
    assert cls is ConnectionLost
    assert "is no chat server: server rejected WebSocket connection: HTTP 404" in text
