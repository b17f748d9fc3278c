"""Spread, ratios, warnings and the table of results."""

import json

import pytest

from load.bench.measurement import DISTURBED, GENERATOR, SERVER, NothingDelivered, percentile
from load.bench.report import markdown
from load.bench.results import Results, Round, Spread
from load.bench.scenarios import PACE, SCENARIOS, Metric, Scenario

SCENARIO = Scenario(
    "demo",
    "A demo",
    "How fast?",
    (Metric("rate", "messages/s", "higher"), Metric("cpu", "µs a message", "lower", 1)),
    lambda run: {},
)


def shares(generator=0.5, disturbed=0.0):
    return {GENERATOR: generator, SERVER: 1.0, DISTURBED: disturbed}


def results(*rounds):
    found = Results({"date": "today"}, {"chat_actors": {"hypercorn": "1"}}, ["ws is skipped"], 1.0, is_quick=False)
    found.rounds.extend(rounds)
    return found


def test_spread_has_median_and_bounds():
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert Spread.of([3.0, 1.0, 2.0]).formatted(1) == "2.0 (1.0..3.0)"
    assert Spread.of([1234.5]).formatted(0) == "1,234"


def test_ratio_is_computed_per_round():
    found = results(
        *(Round(at, "demo", "chat_actors", {"rate": rate}) for at, rate in enumerate([100, 50, 10])),
        *(Round(at, "demo", "ws", {"rate": rate}) for at, rate in enumerate([50, 50, 40])),
    )
    assert found.ratio(SCENARIO, "ws", "rate") == Spread(1.0, 0.25, 2.0)


def test_ratio_skips_failed_rounds():
    found = results(
        Round(1, "demo", "chat_actors", {"rate": 100}),
        Round(2, "demo", "chat_actors", {}, "it fell over"),
        Round(1, "demo", "ws", {}, "it fell over"),
        Round(2, "demo", "ws", {"rate": 50}),
    )
    assert found.ratio(SCENARIO, "ws", "rate") is None
    assert found.warnings(SCENARIO, "ws") == ["round 1: it fell over"]


@pytest.mark.parametrize(
    ("numbers", "warning"),
    [
        (shares(generator=0.93), "the generator used 93%"),
        (shares(disturbed=0.2), "other processes used its core or the generator's for 20%"),
        ({**shares(), PACE: 0.5}, "it delivered only 50%"),
    ],
)
def test_unreliable_numbers_are_marked(numbers, warning):
    found = results(Round(1, "demo", "chat_actors", {"rate": 1.0, **numbers}))
    (line,) = found.warnings(SCENARIO, "chat_actors")
    assert line.startswith(warning)
    assert "⚠" in markdown(found, [SCENARIO])


def test_reliable_numbers_are_not_marked():
    found = results(Round(1, "demo", "chat_actors", {"rate": 1.0, **shares(), PACE: 1.0}))
    assert found.warnings(SCENARIO, "chat_actors") == []
    assert "⚠" not in markdown(found, [SCENARIO])


def test_table_has_a_row_per_server():
    text = markdown(
        results(
            Round(1, "demo", "chat_actors", {"rate": 300.0, "cpu": 2.0, **shares()}),
            Round(1, "demo", "ws", {"rate": 100.0, **shares()}),
        ),
        [SCENARIO, *SCENARIOS],
    )
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[2:] == [
        "| chat_actors | 300 | – | 2.0 | – | 100% | 50% |",
        "| ws | 100 | 3.00 | – | – | 100% | 50% |",
    ]
    assert all(line.count("|") == rows[0].count("|") for line in rows)
    assert "- ws is skipped" in text
    assert text.count("\n## ") == 1


def test_table_of_one_server_has_no_ratios():
    text = markdown(results(Round(1, "demo", "chat_actors", {"rate": 300.0, "cpu": 2.0, **shares()})), [SCENARIO])
    assert "÷ this server" not in text


def test_results_json_has_every_round():
    found = results(Round(1, "demo", "chat_actors", {"rate": 1.5}), Round(2, "demo", "chat_actors", {}, "no"))
    written = json.loads(json.dumps(found.as_json()))
    assert [(one["number"], one["numbers"], one["problem"]) for one in written["rounds"]] == [
        (1, {"rate": 1.5}, ""),
        (2, {}, "no"),
    ]


def test_percentile_needs_two_values():
    assert percentile([float(value) for value in range(101)], 99) == 99.0
    with pytest.raises(NothingDelivered):
        percentile([1.0], 99)
