"""Every scenario for a few seconds against one real server. Checks what happens, never how fast."""

import contextlib
import html.parser

import pytest

from load.command_line import scenarios
from load.operations import LAG
from tests.load.harness import NO_LATENCY_LIMITS, Load, Server, counts

pytestmark = pytest.mark.timeout(3600)
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
LONGER = (1, 4, 16)
"""Factors: a scenario runs again, for longer, while it did too little to be judged. A busy machine needs the time."""
TALK = {"register": USERS, "authenticate": USERS, "join": USERS, "echo": 10}
LATE_MILLISECONDS = 100.0
"""From this lateness of the load generator itself (p99), an answer that is missing at the end is not the server's."""
ENOUGH = {
    "big_room": TALK,
    "churn": TALK | {"switch": 10, "leave": 1, "join": USERS + 1},
    "flood": TALK | {"refusal": 2},
    "http2": TALK,
    "login_storm": {"register": USERS, "connect": 5 * USERS + 1},
    "reconnect_storm": TALK | {"recover": 9},
    "slow_readers": TALK | {"eviction": 1},
    "soak": TALK | {"recover": 1},
    "steady": TALK | {"history": 1},
}
"""How often each operation of a scenario must have succeeded."""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Exit code, verdict and load of each scenario. All run at once."""
    folder = tmp_path_factory.mktemp("scenarios")
    limits = ("--set", "limits.backlog_bytes=131072")
    with Server(folder, "none", *limits) as server:
        done, todo = {}, scenarios()
        for longer in LONGER:
            with contextlib.ExitStack() as running:
                loads = {
                    name: running.enter_context(start(server, folder / f"{name}-{longer}", name, longer))
                    for name in todo
                }
                done |= {name: (*load.verdict(), load) for name, load in loads.items()}
            todo = [name for name in todo if must_run_longer(name, done[name][1])]
        return done


def start(server, folder, name, longer):
    return Load(
        server.url,
        folder,
        name,
        *ARGUMENTS[name],
        users=USERS,
        seconds=SECONDS.get(name, 8) * longer,
        objectives=NO_LATENCY_LIMITS,
    )


def lacking(name, verdict):
    """The operations that did not succeed often enough."""
    successes = counts(verdict)
    return {operation: n for operation, n in ENOUGH[name].items() if successes.get(operation, 0) < n}


def must_run_longer(name, verdict):
    """Whether the machine was too busy: too little has happened, or the end of the test cut off slow responses.

    Any other failure is final.
    """
    is_cut_off = all(reason.endswith("no response in time") for reason in verdict["reasons"])
    is_late = verdict["summaries"][LAG]["p99"] > LATE_MILLISECONDS
    return is_cut_off and (bool(lacking(name, verdict)) or (is_late and bool(verdict["reasons"])))


def test_every_scenario_is_tested():
    assert list(scenarios()) == sorted(ARGUMENTS) == sorted(ENOUGH)


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_scenario_has_no_failures(done, name):
    code, verdict, load = done[name]
    assert verdict["reasons"] == {}, load.text
    assert code == 0, load.text
    assert verdict["users"] == USERS


@pytest.mark.parametrize("name", sorted(ENOUGH))
def test_scenario_does_what_it_is_for(done, name):
    _, verdict, load = done[name]
    assert lacking(name, verdict) == {}, load.text
    assert counts(verdict)["register"] == USERS


@pytest.mark.parametrize("name", sorted(set(ARGUMENTS) - {"login_storm"}))
def test_users_receive_each_others_messages(done, name):
    successes = counts(done[name][1])
    assert successes["delivery"] > successes["echo"]


def test_login_storm_logs_in_on_each_connection(done):
    successes = counts(done["login_storm"][1])
    assert successes["connect"] - USERS <= successes["authenticate"] <= successes["connect"]


def test_reconnect_storm_connects_for_each_recovery(done):
    successes = counts(done["reconnect_storm"][1])
    assert successes["connect"] >= USERS + successes["recover"]


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
