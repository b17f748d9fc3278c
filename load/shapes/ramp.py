"""Ramp: a linear increase from 1 user to `--users` over the duration of the test."""

from locust import LoadTestShape

from load.plugin import run_of_shape


class Ramp(LoadTestShape):
    """A linear increase."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        options = run_of_shape(self).options
        elapsed, seconds = self.get_run_time(), options.run_time or 60
        if elapsed >= seconds:
            return None
        return max(1, round(options.num_users * elapsed / seconds)), max(1.0, options.num_users / 10)
