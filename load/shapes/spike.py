"""Spike: a fifth of `--users`, then all of them for the middle third of the test, then a fifth again."""

from locust import LoadTestShape

from load.plugin import run_of_shape

BASE_SHARE = 0.2


class Spike(LoadTestShape):
    """A sudden increase and decrease."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        options = run_of_shape(self).options
        elapsed, seconds = self.get_run_time(), options.run_time or 60
        if elapsed >= seconds:
            return None
        is_base = not seconds / 3 <= elapsed < seconds * 2 / 3
        return max(1, round(options.num_users * (BASE_SHARE if is_base else 1))), float(options.num_users)
