"""Steps: `--step-users` more every `--step-seconds`, until the scenario's objectives are breached, or at `--users`.

Tells the highest step that met them. What is measured while users are still coming is not judged.
"""

from argparse import ArgumentParser
from functools import cached_property

from locust import LoadTestShape, events

from load.objectives import breaches_between
from load.plugin import run_of_shape
from load.stepping import Steps


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--step-users", type=int, default=0, help="Users more in each step  [default: a tenth]")
    parser.add_argument("--step-seconds", type=float, default=30.0, help="How long a step takes")


class StepsUntilBroken(LoadTestShape):
    """Up, until something gives."""

    use_common_options = True

    @cached_property
    def steps(self) -> Steps:
        run = run_of_shape(self)
        options = run.options
        return Steps(
            options.step_users or max(1, options.num_users // 10),
            options.num_users,
            options.step_seconds,
            lambda since, until: breaches_between(run.objectives, run.records, run.began + since, run.began + until),
        )

    def tick(self) -> tuple[int, float] | None:
        users = self.steps.tick(self.get_run_time())
        if users is None:
            run_of_shape(self).notes.append(self.steps.outcome())
            return None
        return users, max(1.0, users / 3)
