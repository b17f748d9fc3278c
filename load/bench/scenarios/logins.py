"""How fast everybody is back after a restart."""

from __future__ import annotations

from load.bench.dialects import ChatActors, Member
from load.bench.measuring import measure_while
from load.bench.scenarios.scenario import Metric, Numbers, Run, Scenario

_WITHIN = 120.0
_AT_ONCE = 32


def _logins(run: Run) -> Numbers:
    dialect = run.dialect
    if not isinstance(dialect, ChatActors):
        raise TypeError("only chat_actors has a login")
    members = [Member(number, "nowhere") for number in range(50 if run.is_quick else 1000)]
    with run.server_and_crowd() as (server, crowd):
        crowd.play([dialect.register(member) for member in members], _WITHIN)
        crowd.settle(0.3, _WITHIN)
        scripts = [dialect.log_in(member) for member in members]
        stretch = measure_while(server, crowd, lambda: crowd.play(scripts, _WITHIN, at_once=_AT_ONCE))
    return {
        "logins": len(members) / stretch.seconds,
        "cpu": stretch.cpu_us_for_each(len(members)),
        **stretch.shares.numbers(),
    }


LOGINS = Scenario(
    "logins",
    "Logins: 1,000 registered users, 32 at once, RSA with 2048 bits",
    "How fast is everybody back after a restart: connect, upgrade, challenge, signature, authenticated?",
    (
        Metric("logins", "logins/s", "higher"),
        Metric("cpu", "server CPU, µs a login", "lower"),
    ),
    _logins,
    is_for_peers=False,
)
