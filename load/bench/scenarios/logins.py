"""The rate of logins after a restart."""

from __future__ import annotations

from load.bench.dialects import ChatActors, Member
from load.bench.measurement import measure_while
from load.bench.scenarios.scenario import Metric, Numbers, RoundSetup, Scenario

_TIMEOUT = 120.0
_CONCURRENCY = 32


def _logins(setup: RoundSetup) -> Numbers:
    dialect = setup.dialect
    if not isinstance(dialect, ChatActors):
        raise TypeError("only chat_actors has a login")
    members = [Member(number, "nowhere") for number in range(50 if setup.is_quick else 1000)]
    with setup.server_and_generator() as (server, generator):
        generator.run_scripts([dialect.register(member) for member in members], _TIMEOUT)
        generator.settle(0.3, _TIMEOUT)
        scripts = [dialect.log_in(member) for member in members]
        measurement = measure_while(
            server, generator, lambda: generator.run_scripts(scripts, _TIMEOUT, concurrency=_CONCURRENCY)
        )
    return {
        "logins": len(members) / measurement.seconds,
        "cpu": measurement.cpu_us_for_each(len(members)),
        **measurement.shares.numbers(),
    }


LOGINS = Scenario(
    "logins",
    "Logins: 1,000 registered users, 32 at once, RSA with 2048 bits",
    "How fast can users log in after a restart (connect, upgrade, challenge, signature, authenticated)?",
    (
        Metric("logins", "logins/s", "higher"),
        Metric("cpu", "server CPU, µs per login", "lower"),
    ),
    _logins,
    is_for_peers=False,
)
