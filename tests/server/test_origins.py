import pytest

from chat_actors.chat import Storage
from chat_actors.server.app import create_app
from chat_actors.server.origins import is_origin, may_open
from chat_actors.server.settings import ServerSettings, Settings
from chat_actors.storage import MemoryAccounts
from tests.conformance.conftest import OPENERS
from tests.wire.live_server import LiveServer, fail_test

pytestmark = pytest.mark.anyio

PARTNER = "https://partner.example"
WITH_PORT = "https://With-Port.example:443"


@pytest.mark.parametrize(
    ("origins", "host", "is_secure", "expected"),
    [
        ([], "chat.example", True, True),
        (["https://chat.example"], "chat.example", True, True),
        (["https://chat.example"], "chat.example:443", True, True),
        (["https://CHAT.example"], "chat.EXAMPLE", True, True),
        (["http://127.0.0.1:8080"], "127.0.0.1:8080", False, True),
        (["http://[::1]:8080"], "[::1]:8080", False, True),
        (["http://[::1]"], "[::1]", False, True),
        (["https://chat.example"], "chat.example", False, True),
        ([PARTNER], "chat.example", True, True),
        (["HTTPS://Partner.example"], "chat.example", True, True),
        ([PARTNER], None, True, True),
        (["https://with-port.example"], "chat.example", True, True),
        (["https://with-port.example:444"], "chat.example", True, False),
        (["http://chat.example"], "chat.example", True, False),
        (["http://partner.example"], "chat.example", True, False),
        (["https://partner.example.evil"], "chat.example", True, False),
        (["https://chat.example:8443"], "chat.example", True, False),
        (["https://chat.example"], "chat.example:8443", True, False),
        (["https://chat.example.evil.example"], "chat.example", True, False),
        (["https://evil.example"], "chat.example", False, False),
        (["https://evil.example@chat.example"], "chat.example", True, False),
        (["https://chat.example/x"], "chat.example", True, False),
        (["https://chat.example", "https://chat.example"], "chat.example", True, False),
        (["https://chat.example, https://evil.example"], "chat.example", True, False),
        (["null"], "chat.example", True, False),
        ([""], "", False, False),
        (["https://chat.example"], None, True, False),
        (["chrome-extension://abcdef"], "abcdef", True, False),
    ],
)
def test_page_may_connect_to_own_and_allowed_hosts(origins, host, is_secure, expected):
    assert may_open(origins, host, (PARTNER, WITH_PORT), is_secure=is_secure, is_local=False) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("localhost:8080", True),
        ("LOCALHOST.:8080", True),
        ("chat.localhost:8080", True),
        ("127.0.0.1", True),
        ("127.8.9.10:8080", True),
        ("[::1]:8080", True),
        ("[::ffff:127.0.0.1]:8080", True),
        ("evil.example:8080", False),
        ("localhost.evil.example:8080", False),
        ("notlocalhost:8080", False),
        ("192.168.1.5:8080", False),
        ("127.0.0.1.evil.example", False),
        ("0.0.0.0:8080", False),
    ],
)
def test_foreign_name_of_loopback_is_refused(host, expected):
    assert may_open([f"http://{host}"], host, (), is_secure=False, is_local=True) is expected
    assert may_open([f"http://{host}"], host, (f"http://{host}",), is_secure=False, is_local=True)
    assert may_open([f"http://{host}"], host, (), is_secure=False, is_local=False)
    assert may_open([], host, (), is_secure=False, is_local=True)


@pytest.mark.parametrize(
    "text", ["example.org", "https://bücher.example", "https://", "https://example.org/", "https://a b", "*", "null"]
)
def test_invalid_origin_is_refused(text):
    assert not is_origin(text)


@pytest.mark.parametrize("protocol", ["http1", "http2"])
@pytest.mark.parametrize("path", ["/", "/ws"])
async def test_foreign_page_is_refused_before_the_upgrade(protocol, path):
    settings = Settings(server=ServerSettings(allowed_origins=(PARTNER,)))
    async with LiveServer(create_app(settings, on_failure=fail_test, storage=Storage(MemoryAccounts()))) as server:

        async def status_for(*origins):
            peer = await OPENERS[protocol](server.port, path, [("origin", origin) for origin in origins])
            try:
                return peer.status
            finally:
                await peer.aclose()

        opened = 101 if protocol == "http1" else 200
        assert await status_for() == opened
        assert await status_for("http://localhost") == opened
        assert await status_for(PARTNER) == opened
        assert await status_for("https://evil.example") == 403
        assert await status_for("http://127.0.0.1:1") == 403
        assert await status_for("null") == 403
        assert await status_for(PARTNER, PARTNER) == 403


@pytest.mark.parametrize("protocol", ["http1", "http2"])
@pytest.mark.parametrize(("proxies", "is_let_in"), [(0, False), (1, True)])
async def test_loopback_needs_a_proxy_for_foreign_names(protocol, proxies, is_let_in):
    settings = Settings(server=ServerSettings(trusted_proxies=proxies))
    async with LiveServer(create_app(settings, on_failure=fail_test, storage=Storage(MemoryAccounts()))) as server:
        headers = [("origin", "http://chat.example")]
        peer = await OPENERS[protocol](server.port, "/ws", headers, host="chat.example")
        assert (peer.status != 403) is is_let_in
        await peer.aclose()
