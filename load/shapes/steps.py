"""Steps: `--step-users` more users every `--step-seconds`, until an objective is breached or `--users` is reached.

Reports the highest step that met the objectives. Measurements while new users still connect are not judged.
"""

from argparse import ArgumentParser
from collections.abc import Sequence
from functools import cached_property

from locust import LoadTestShape, events

from load.objectives import breaches_between
from load.plugin import at_least, run_of_shape
from load.step_load import StepLoad

RAMP_UP = 1 / 4
"""Part of a step in which its new users start; shorter than the part that is not judged."""


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--step-users", type=int, default=0, help="Users added in each step  [default: a tenth of --users]"
    )
    parser.add_argument("--step-seconds", type=at_least(3.0), default=30.0, help="Duration of a step; at least 3")


class StepsUntilBroken(LoadTestShape):
    """Steps up until an objective is breached."""

    use_common_options = True

    @cached_property
    def steps(self) -> StepLoad:
        options = run_of_shape(self).options
        step_users = options.step_users or max(1, options.num_users // 10)
        return StepLoad(step_users, options.num_users, options.step_seconds, self.breaches)

    def breaches(self, users: int, since: float, until: float) -> Sequence[str]:
        run = run_of_shape(self)
        began = run.measurements.began
        return breaches_between(run.objectives, run.measurements.records, users, began + since, began + until)

    def tick(self) -> tuple[int, float] | None:
        users = self.steps.tick(self.get_run_time())
        if users is None:
            run_of_shape(self).measurements.notes.append(self.steps.outcome())
            return None
        options = run_of_shape(self).options
        added_users = options.step_users or options.num_users / 10
        return users, max(1.0, added_users / (options.step_seconds * RAMP_UP))
