from load.step_load import StepLoad


def climb(breaks_at, step_users=10, max_users=50, step_seconds=30):
    """Tick each second on a server that holds fewer than so many users. The users at each tick, and the steps."""
    asked = []

    def breaches(users, since, until):
        assert users == steps.users
        asked.append((since, until))
        return ["echo, p95 900 ms"] if steps.users >= breaks_at else []

    steps = StepLoad(step_users, max_users, step_seconds, breaches)
    users = []
    for second in range(10_000):
        wanted = steps.tick(second)
        if wanted is None:
            return users, steps, asked
        users.append(wanted)
    raise AssertionError("it never ends")


def test_it_ends_with_the_step_that_breaches_and_tells_the_one_before():
    users, steps, _ = climb(breaks_at=35)
    assert (steps.highest, users[-1], len(users)) == (30, 40, 120)
    assert steps.outcome() == "Steps: 30 users met the objectives, 40 did not: echo, p95 900 ms."


def test_each_step_is_judged_by_its_last_two_thirds():
    _, _, asked = climb(breaks_at=25)
    assert asked == [(10, 30), (40, 60), (70, 90)]


def test_without_a_breach_it_ends_at_the_most_users():
    users, steps, _ = climb(breaks_at=1000, max_users=25)
    assert sorted(set(users)) == [10, 20, 25]
    assert steps.outcome() == "Steps: all met the objectives, up to 25 users; the capacity is higher."


def test_the_first_step_may_be_too_much():
    _, steps, _ = climb(breaks_at=1)
    assert steps.highest == 0
