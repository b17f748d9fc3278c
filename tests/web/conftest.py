import os
import shutil
from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from playwright.sync_api import expect, sync_playwright

from tests.web.person import Person
from tests.web.served import HostedChat, ServedChat
from tests.wire.certificate import write_certificate

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MAX_PEOPLE = 4  # in one test
NO_BROWSER = "no Chromium on this machine: apt-get install chromium"

# Chromium has no sandbox as root; the other flags keep it from calling its vendor's servers.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP chat.example 127.0.0.1",
)

expect.set_options(timeout=45_000)


@pytest.fixture(scope="package")
def browser():
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        # BROWSER_TESTS=required turns the skip into a failure.
        (pytest.fail if os.environ.get("BROWSER_TESTS") == "required" else pytest.skip)(NO_BROWSER)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return write_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(params=["http1", "http2"])
def protocol(request):
    """Both versions for tests of the connection. Tests of only the page use `over_http1`."""
    return request.param


over_http1 = pytest.mark.parametrize("protocol", ["http1"], indirect=True)


@pytest.fixture
def served(tmp_path, protocol, certificate):
    """A server over HTTP/1.1, or over HTTP/2 with TLS."""
    with HostedChat(tmp_path, certificate if protocol == "http2" else None) as served:
        yield served


@pytest.fixture
def restartable(tmp_path, protocol, certificate):
    """A server started by the command, which can be killed and started again on the same data."""
    restartable = ServedChat(tmp_path, certificate if protocol == "http2" else None)
    restartable.start()
    yield restartable
    restartable.stop()


@pytest.fixture(scope="session")
def keys():
    """Private keys for the users of a test, as PKCS#8 in base64. A browser takes half a second to make one."""
    made = (generate_private_key(65537, 3072) for _ in range(MAX_PEOPLE))
    return [b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode() for key in made]


@pytest.fixture
def person(browser, keys):
    """Make users at browsers. Each has a separate browser context."""
    people = []

    def make(url, name, *, makes_key=False, **options):
        key = None if makes_key else keys[len(people)]
        people.append(Person(browser, url, name, key=key, **options))
        return people[-1]

    yield make
    for one in people:
        one.leave()
