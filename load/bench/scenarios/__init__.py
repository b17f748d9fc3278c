"""The benchmark's scenarios. Each answers one question about a freshly started server."""

from load.bench.scenarios.fan_out import PACED, SATURATED
from load.bench.scenarios.idle_memory import MEMORY
from load.bench.scenarios.logins import LOGINS
from load.bench.scenarios.never_read import NEVER_READ
from load.bench.scenarios.room_size import ROOM_SIZE
from load.bench.scenarios.scenario import PACE, Metric, Numbers, RoundSetup, Scenario
from load.bench.scenarios.several_rooms import SEVERAL_ROOMS
from load.bench.scenarios.small_rooms import ROOMS_OF_ONE, ROOMS_OF_TEN

SCENARIOS: tuple[Scenario, ...] = (
    SATURATED,
    PACED,
    ROOMS_OF_ONE,
    ROOMS_OF_TEN,
    MEMORY,
    SEVERAL_ROOMS,
    LOGINS,
    ROOM_SIZE,
    NEVER_READ,
)

__all__ = ["PACE", "SCENARIOS", "Metric", "Numbers", "RoundSetup", "Scenario"]
