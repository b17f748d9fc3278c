"""Every scenario for a few seconds against one real server. Checks what happens, never how fast."""

import html.parser

import pytest

from load.command_line import scenarios
from tests.load.harness import NO_LATENCY_LIMITS, Load, Server, counts

pytestmark = pytest.mark.timeout(600)
USERS = 10
ARGUMENTS = {
    "big_room": ("--say-every", 0.5),
    "churn": ("--say-every", 0.3, "--rooms", 2),
    "flood": ("--say-every", 0.5),
    "http2": ("--say-every", 0.5, "--streams", 4),
    "login_storm": (),
    "reconnect_storm": ("--say-every", 0.3, "--drop-every", 5),
    "slow_readers": ("--say-every", 0.06, "--chars", 3900),
    "soak": ("--say-every", 0.3),
    "steady": ("--say-every", 0.3),
}
SECONDS = {"slow_readers": 16, "reconnect_storm": 14}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Exit code, verdict and load of each scenario. All run at once."""
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
        return {name: (*load.verdict(200), load) for name, load in loads.items()}


def test_every_scenario_is_tested():
    assert list(scenarios()) == sorted(ARGUMENTS)


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_scenario_has_no_failures(done, name):
    code, verdict, load = done[name]
    assert verdict["reasons"] == {}, load.text
    assert code == 0, load.text
    assert verdict["users"] == USERS


@pytest.mark.parametrize("name", sorted(set(ARGUMENTS) - {"login_storm"}))
def test_every_user_logs_in_and_joins(done, name):
    successes = counts(done[name][1])
    assert successes["register"] == USERS
    assert successes["authenticate"] >= USERS
    assert successes["join"] >= USERS


@pytest.mark.parametrize("name", sorted(set(ARGUMENTS) - {"login_storm"}))
def test_users_receive_each_others_messages(done, name):
    successes = counts(done[name][1])
    assert successes["echo"] >= 10
    assert successes["delivery"] > successes["echo"]


def test_login_storm_has_many_logins(done):
    successes = counts(done["login_storm"][1])
    assert successes["register"] == USERS
    assert successes["connect"] > 5 * USERS
    assert successes["connect"] - USERS <= successes["authenticate"] <= successes["connect"]


def test_reconnect_storm_recovers_all_users(done):
    successes = counts(done["reconnect_storm"][1])
    assert successes["recover"] >= 9
    assert successes["connect"] >= USERS + successes["recover"]


def test_soak_recovers_after_disconnects(done):
    assert counts(done["soak"][1])["recover"] >= 1


def test_churn_switches_leaves_and_joins(done):
    successes = counts(done["churn"][1])
    assert successes["switch"] >= 10
    assert successes["leave"] >= 1
    assert successes["join"] > USERS


def test_slow_readers_are_evicted(done):
    assert counts(done["slow_readers"][1])["eviction"] >= 1


def test_flood_is_refused(done):
    assert counts(done["flood"][1])["refusal"] >= 2


def test_steady_reads_history(done):
    assert counts(done["steady"][1])["history"] >= 1


def test_server_process_is_sampled(done):
    _, verdict, load = done["steady"]
    assert "process" in verdict["server"]
    samples = load.page.with_name("server.csv").read_text().splitlines()
    assert len(samples) > 5
    assert float(samples[-1].split(",")[-1]) > 1e7


class Elements(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.links = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href") and not value.startswith("#")]


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_report_page_is_self_contained(done, name):
    text = done[name][2].page.read_text()
    elements = Elements(text)
    assert elements.tags.count("svg") >= 4
    assert "script" not in elements.tags
    assert elements.links == []
    assert name in text
