"""Spike: a fifth of `--users`, then for the middle third of the time all of them at once, then a fifth again."""

from locust import LoadTestShape

from load.plugin import run_of_shape

CALM = 0.2


class Spike(LoadTestShape):
    """Up and down."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        options = run_of_shape(self).options
        elapsed, seconds = self.get_run_time(), options.run_time or 60
        if elapsed >= seconds:
            return None
        is_calm = not seconds / 3 <= elapsed < seconds * 2 / 3
        return max(1, round(options.num_users * (CALM if is_calm else 1))), float(options.num_users)
