import os
import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.web.person import Person
from tests.web.served import ServedChat
from tests.wire.certificate import write_certificate

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NO_BROWSER = "no Chromium on this machine: apt-get install chromium"

# As root there is no sandbox; the rest keeps the browser from calling its maker's servers.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

expect.set_options(timeout=15_000)


@pytest.fixture(scope="package")
def browser():
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        # BROWSER_TESTS=required is for machines that are to have one.
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
    return request.param


@pytest.fixture
def served(tmp_path, protocol, certificate):
    """A server over HTTP/1.1, or over HTTP/2 with TLS."""
    served = ServedChat(tmp_path, certificate if protocol == "http2" else None)
    served.start()
    yield served
    served.stop()


@pytest.fixture
def person(browser):
    """Makes people: each has a browser of their own, as far as a server can tell."""
    people = []

    def make(url, name, **options):
        people.append(Person(browser, url, name, **options))
        return people[-1]

    yield make
    for one in people:
        one.leave()
