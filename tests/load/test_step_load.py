from load.step_load import StepLoad


def run_steps(breach_at, step_users=10, max_users=50, step_seconds=30):
    """Tick each second on a server that breaches an objective from `breach_at` users on.

    Returns the users at each tick, the step load, and the judged windows.
    """
    windows = []

    def breaches(users, since, until):
        assert users == steps.users
        windows.append((since, until))
        return ["echo, p95 900 ms"] if steps.users >= breach_at else []

    steps = StepLoad(step_users, max_users, step_seconds, breaches)
    users = []
    for second in range(10_000):
        target = steps.tick(second)
        if target is None:
            return users, steps, windows
        users.append(target)
    raise AssertionError("the steps did not end")


def test_step_load_ends_at_the_first_breach():
    users, steps, _ = run_steps(breach_at=35)
    assert (steps.highest, users[-1], len(users)) == (30, 40, 120)
    assert steps.outcome() == "Steps: 30 users met the objectives, 40 did not: echo, p95 900 ms."


def test_step_is_judged_by_its_last_two_thirds():
    _, _, windows = run_steps(breach_at=25)
    assert windows == [(10, 30), (40, 60), (70, 90)]


def test_step_load_ends_at_max_users():
    users, steps, _ = run_steps(breach_at=1000, max_users=25)
    assert sorted(set(users)) == [10, 20, 25]
    assert steps.outcome() == "Steps: all met the objectives, up to 25 users; the capacity is higher."


def test_breach_in_the_first_step_leaves_no_capacity():
    _, steps, _ = run_steps(breach_at=1)
    assert steps.highest == 0
