"""Every scenario for a few seconds against one real server: what it did, never how fast."""

import html.parser

import pytest

from load.command_line import scenarios
from tests.load.harness import NO_LATENCY_LIMITS, Load, Server, counts

pytestmark = pytest.mark.timeout(180)
USERS = 10
ARGUMENTS = {
    "big_room": ("--say-every", 0.5),
    "churn": ("--say-every", 0.3, "--rooms", 2),
    "flood": ("--say-every", 0.5),
    "http2": ("--say-every", 0.5, "--streams", 4),
    "login_storm": (),
    "reconnect_storm": ("--say-every", 0.3, "--drop-every", 3),
    "slow_readers": ("--say-every", 0.06, "--chars", 3900),
    "soak": ("--say-every", 0.3),
    "steady": ("--say-every", 0.3),
}
SECONDS = {"slow_readers": 16, "reconnect_storm": 9}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """All of them at once, each with an exit code, a verdict and a page."""
    folder = tmp_path_factory.mktemp("scenarios")
    limits = ("--set", "limits.backlog_bytes=131072")
    with Server(folder, "none", *limits) as server:
        loads = {
            name: Load(
                server.url,
                folder / name,
                name,
                *ARGUMENTS[name],
                users=USERS,
                seconds=SECONDS.get(name, 8),
                objectives=NO_LATENCY_LIMITS,
            )
            for name in scenarios()
        }
        return {name: (*load.verdict(120), load) for name, load in loads.items()}


def test_there_are_the_scenarios_that_are_documented():
    assert list(scenarios()) == sorted(ARGUMENTS)


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_nothing_fails_in_any_scenario(done, name):
    code, verdict, load = done[name]
    assert verdict["reasons"] == {}, load.text
    assert code == 0, load.text
    assert verdict["users"] == USERS


@pytest.mark.parametrize("name", sorted(set(ARGUMENTS) - {"login_storm"}))
def test_everybody_registers_logs_in_and_enters_a_room(done, name):
    seen = counts(done[name][1])
    assert seen["register"] == USERS
    assert seen["authenticate"] >= USERS
    assert seen["join"] >= USERS


@pytest.mark.parametrize("name", sorted(set(ARGUMENTS) - {"login_storm"}))
def test_people_talk_and_hear_each_other(done, name):
    seen = counts(done[name][1])
    assert seen["echo"] >= 10
    assert seen["delivery"] > seen["echo"]


def test_a_login_storm_is_many_logins(done):
    seen = counts(done["login_storm"][1])
    assert seen["register"] == USERS
    assert seen["connect"] > 5 * USERS
    assert seen["connect"] - USERS <= seen["authenticate"] <= seen["connect"]


def test_all_who_lose_the_line_at_once_recover(done):
    seen = counts(done["reconnect_storm"][1])
    assert seen["recover"] >= 9
    assert seen["connect"] >= USERS + seen["recover"]


def test_a_soak_recovers_too(done):
    assert counts(done["soak"][1])["recover"] >= 1


def test_churn_switches_leaves_and_joins(done):
    seen = counts(done["churn"][1])
    assert seen["switch"] >= 10
    assert seen["leave"] >= 1
    assert seen["join"] > USERS


def test_who_reads_nothing_is_evicted_and_nobody_else(done):
    assert counts(done["slow_readers"][1])["eviction"] >= 1


def test_who_ignores_every_limit_is_refused(done):
    assert counts(done["flood"][1])["refusal"] >= 2


def test_steady_reads_history(done):
    assert counts(done["steady"][1])["history"] >= 1


def test_the_server_is_watched(done):
    _, verdict, load = done["steady"]
    assert "process" in verdict["server"]
    samples = load.page.with_name("server.csv").read_text().splitlines()
    assert len(samples) > 5
    assert float(samples[-1].split(",")[-1]) > 1e7


class Elements(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.seen = []
        self.links = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href") and not value.startswith("#")]


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_the_page_stands_on_its_own_and_has_plots(done, name):
    text = done[name][2].page.read_text()
    elements = Elements(text)
    assert elements.seen.count("svg") >= 4
    assert "script" not in elements.seen
    assert elements.links == []
    assert name in text
