"""A room with 10,000 messages stays as responsive as one with ten."""

import itertools
import json

import pytest
from playwright.sync_api import expect

from tests.web.served import ServedChat

MANY = 10_000
PAGE = 100  # messages in a page of history
LONG_TASK = 0.05  # seconds: browsers call a longer task long (W3C Long Tasks API)

DRAWN = "new Promise(requestAnimationFrame)"

# As fast as the browser draws.
SCROLL_TO_TOP = """async text => {
    const timeline = document.querySelector("#timeline");
    for (let frame = 0; frame < 5000; frame += 1) {
        if (timeline.querySelector(".message .content").textContent === text) return true;
        timeline.scrollTop = 0;
        await new Promise(requestAnimationFrame);
    }
    return false; }"""


@pytest.fixture
def full_room(tmp_path):
    """A server with many messages in its lobby."""
    served = ServedChat(tmp_path)
    at = "2026-01-01T10:00:00.000Z"
    lines = [
        json.dumps({"seq": n, "userId": f"user-{n % 7}", "content": f"message {n}", "timestamp": at})
        for n in range(1, MANY + 1)
    ]
    served.command("import", "lobby", input="\n".join(lines).encode())
    served.start()
    yield served
    served.stop()


def cpu_seconds(one):
    """CPU time of the page's main thread. Unlike the duration of a task, it does not grow with the machine's load."""
    metrics = one.cdp.send("Performance.getMetrics")["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")


def test_long_room_types_and_scrolls_smoothly(full_room, person):
    alice, bob = person(full_room.url, "alice").start(), person(full_room.url, "bobby").start()
    alice.cdp.send("Performance.enable", {"timeDomain": "threadTicks"})
    expect(alice.messages.last).to_have_text(f"message {MANY}")
    first = alice.messages.first
    start = cpu_seconds(alice)
    assert alice.page.evaluate(SCROLL_TO_TOP, "message 1")
    scrolling = (cpu_seconds(alice) - start) / (MANY / PAGE)
    assert alice.page.locator("#timeline > *").count() <= 301
    # The visible rows keep their position while messages arrive.
    bob.say("a new one")
    expect(alice.page.get_by_role("button", name="Newest messages")).to_be_visible()
    expect(first).to_have_text("message 1")
    alice.page.get_by_role("button", name="Newest messages").click()
    alice.expect_messages("a new one")

    rounds = 10
    start = cpu_seconds(alice)
    for number in range(rounds):
        alice.page.keyboard.type("typing along ")
        bob.say(f"while she types {number}")
    alice.expect_messages(f"while she types {rounds - 1}")
    typing = (cpu_seconds(alice) - start) / rounds

    steps = [cpu_seconds(alice)]  # reading it costs CPU time of the page too, so that only the longest step is judged
    for number in range(rounds):
        for key in "typing along ":
            alice.page.keyboard.type(key)
            steps.append(cpu_seconds(alice))
        bob.say(f"and once more {number}")
        steps.append(cpu_seconds(alice))
    longest = max(after - before for before, after in itertools.pairwise(steps))
    print(
        f"CPU: {scrolling * 1000:.0f} ms for a page of history, {typing * 1000:.0f} ms for 13 keys and a message, "
        f"{longest * 1000:.0f} ms at most for one"
    )
    assert scrolling < LONG_TASK
    assert typing < LONG_TASK
    assert longest < LONG_TASK


def test_scrolling_up_shows_each_message_in_order(full_room, person):
    alice = person(full_room.url, "alice").start()
    expect(alice.messages.last).to_have_text(f"message {MANY}")
    seen = MANY + 1
    box = alice.page.locator("#timeline")
    while seen > MANY - 1000:
        shown = [int(text.split()[1]) for text in alice.messages.all_inner_texts()]
        assert shown == list(range(shown[0], shown[-1] + 1))
        assert shown[-1] >= seen - 1, "some have been jumped over"
        seen = min(seen, shown[0])
        box.evaluate(f"box => {{ box.scrollBy(0, -600); return {DRAWN}; }}")


def test_leaving_a_long_room_clears_it(full_room, person):
    alice = person(full_room.url, "alice").start()
    expect(alice.messages.last).to_have_text(f"message {MANY}")
    assert alice.page.evaluate(SCROLL_TO_TOP, f"message {MANY - 999}")
    alice.page.get_by_role("button", name="Newest messages").click()
    expect(alice.messages.last).to_have_text(f"message {MANY}")
    alice.page.get_by_role("button", name="Leave lobby").click()
    alice.expect_notice("No room is open.")
    alice.page.evaluate(DRAWN)
    expect(alice.page.locator(".message")).to_have_count(0)
