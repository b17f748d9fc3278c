import re

import pytest
from playwright.sync_api import expect

from chat_actors.client import Identity, generate_key
from chat_actors.client.sync import connect
from chat_actors.extensions.moderation import Kick, Moderation
from tests.web.conftest import over_http1
from tests.web.served import HostedChat, SlowProxy, website


def test_two_people_talk_over_each_http_version(served, protocol, person):
    alice, bob = person(served.url, "alice").start(), person(served.url, "bobby").start()
    alice.say("Hello, Bob!")
    bob.expect_messages("Hello, Bob!")
    bob.say("Hello, Alice!")
    alice.expect_messages("Hello, Bob!", "Hello, Alice!")
    expect(alice.page.locator("#members li")).to_have_text(["alice", "bobby"])
    opened = 200 if protocol == "http2" else 101
    assert set(alice.websocket_statuses) == {opened}
    protocols = alice.page.evaluate("performance.getEntriesByType('resource').map(one => one.nextHopProtocol)")
    assert set(protocols) == {"h2" if protocol == "http2" else "http/1.1"}


def test_reload_keeps_the_user_and_rooms(served, person):
    alice = person(served.url, "alice").start()
    alice.say("before")
    alice.open("garden")
    alice.say("among flowers")
    alice.page.reload()
    alice.expect_connected()
    expect(alice.page.locator("#rooms .open")).to_have_text(["lobby", "garden"])
    expect(alice.page.locator("#own-name")).to_have_text("alice")
    alice.expect_messages("among flowers")
    alice.show_room("lobby")
    alice.expect_messages("before")


def test_rooms_of_a_page_share_one_websocket(served, person):
    alice, bob = person(served.url, "alice").start(), person(served.url, "bobby").start()
    for room in ("garden", "attic"):
        alice.open(room)
        bob.open(room)
    assert len(alice.websocket_statuses) == 1  # the login used it too
    for room in ("lobby", "garden"):
        bob.show_room(room)
        bob.say(f"to the {room}")
    bob.show_room("attic")
    bob.say("to the attic")
    alice.expect_messages("to the attic")
    expect(alice.page.locator("#rooms .unread")).to_have_text([re.compile("lobby1"), re.compile("garden1")])
    alice.page.reload()
    alice.expect_connected()
    for room in ("lobby", "garden", "attic"):
        alice.show_room(room)
        alice.expect_messages(f"to the {room}")
    alice.page.get_by_role("button", name="Leave garden").click()
    bob.show_room("garden")
    expect(bob.page.locator("#members li")).to_have_text(["bobby"])
    assert len(alice.websocket_statuses) == 2  # one more for the reload


def test_login_without_a_server_can_be_repeated(restartable, person):
    alice = person(restartable.url, "alice")
    alice.may_lose_server = True
    restartable.kill()
    alice.page.get_by_label("Your name").fill("alice")
    alice.page.get_by_role("button", name="Start talking").click()
    expect(alice.page.get_by_role("alert").first).to_have_text("The server does not answer. Try again in a moment.")
    restartable.start()
    alice.start()


@pytest.mark.parametrize("protocol", ["http2"], indirect=True)  # without TLS a page can make no key
def test_login_from_a_refused_origin_says_so(served, person):
    url = re.sub("//[^:]+", "//chat.example", served.url)
    alice = person(url, "alice")
    alice.may_lose_server = True
    alice.page.get_by_label("Your name").fill("alice")
    alice.page.get_by_role("button", name="Start talking").click()
    expect(alice.page.get_by_role("alert").first).to_contain_text(f"accepts no chat connection from a page of {url}.")


def test_page_of_an_allowed_origin_can_chat(tmp_path, browser):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<!doctype html>")
    with (
        website(tmp_path / "site") as elsewhere,
        HostedChat(tmp_path, allowed_origins=(elsewhere,)) as served,
        browser.new_page() as page,
    ):
        page.goto(elsewhere)
        talk = """async url => {
            const { connect, Identity } = await import(`${url}/web/client/chat-client.mjs`);
            const chat = connect(url, await Identity.create("guest"));
            const room = await chat.join("lobby");
            await room.say("Hello from elsewhere!");
            for await (const { type, userId, content } of room) {
              if (type === "chat_message") {
                chat.close();
                return `${userId}: ${content}`;
              }
            }
        }"""
        assert page.evaluate(talk, served.url) == "guest: Hello from elsewhere!"


@over_http1
def test_leaving_all_rooms_clears_the_page(served, person):
    alice = person(served.url, "alice").start()
    alice.page.get_by_role("button", name="Leave lobby").click()
    expect(alice.page.locator("#room-title")).to_have_text("No room")
    expect(alice.page.locator("#members li")).to_have_count(0)
    expect(alice.page).to_have_title("chat_actors")
    alice.say("to no room")
    expect(alice.page.get_by_label("Message", exact=True)).to_have_value("to no room")
    alice.open("garden")
    expect(alice.page.get_by_label("Message", exact=True)).to_have_value("to no room")
    alice.say("to a room")
    alice.expect_messages("to a room")


@over_http1
def test_address_without_a_room_opens_the_lobby(served, person):
    for name, at in (("alice", "#%00"), ("bobby", "#%ff"), ("carol", "#" + "x" * 129)):
        user = person(served.url, name, at=at).start()
        expect(user.page.locator("#room-title")).to_have_text("lobby")


@over_http1
def test_address_names_a_room(served, person):
    alice = person(served.url, "alice", at="#caf%C3%A9").start()
    expect(alice.page.locator("#room-title")).to_have_text("café")


def test_killed_server_loses_and_repeats_nothing(restartable, person):
    alice, bob = person(restartable.url, "alice").start(), person(restartable.url, "bobby").start()
    alice.may_lose_server = bob.may_lose_server = True
    alice.say("before")
    bob.expect_messages("before")
    restartable.kill()
    expect(alice.page.get_by_role("status")).to_contain_text("Offline")
    alice.say("offline 1")
    alice.say("offline 2")
    expect(alice.page.locator(".message.sending")).to_have_count(2)
    restartable.start()
    alice.page.get_by_role("button", name="Try now").or_(
        alice.page.locator("#status", has_text="Connected")
    ).first.click()
    bob.expect_messages("before", "offline 1", "offline 2")
    alice.expect_messages("before", "offline 1", "offline 2")
    alice.expect_connected()
    bob.expect_connected()


@over_http1
def test_server_without_its_data_shows_new_messages(restartable, person):
    alice, bob = person(restartable.url, "alice").start(), person(restartable.url, "bobby").start()
    alice.may_lose_server = bob.may_lose_server = True
    for text in ("one", "two", "three"):
        alice.say(text)
    bob.expect_messages("one", "two", "three")
    restartable.kill()
    restartable.forget_everything()
    restartable.start()
    alice.go_online()
    bob.go_online()
    bob.expect_notice("the server no longer has the messages of that time")
    alice.say("four")
    bob.say("five")
    alice.expect_messages("one", "two", "three", "four", "five")
    bob.expect_messages("one", "two", "three", "four", "five")


@over_http1
def test_server_without_its_data_marks_new_messages(restartable, person):
    alice, bob = person(restartable.url, "alice").start(), person(restartable.url, "bobby").start()
    alice.may_lose_server = bob.may_lose_server = True
    for text in ("one", "two", "three"):
        bob.say(text)
    alice.expect_messages("one", "two", "three")
    alice.open("garden")
    alice.page.goto(f"{restartable.url}/web/icon.svg")
    restartable.kill()
    restartable.forget_everything()
    restartable.start()
    bob.go_online()
    bob.say("four")
    bob.expect_messages("one", "two", "three", "four")
    alice.page.goto(restartable.url)
    alice.expect_connected()
    bob.say("five")
    expect(alice.page).to_have_title("(1) garden · chat_actors")
    alice.show_room("lobby")
    alice.expect_messages("four", "five")
    expect(alice.page.locator(".unread-line + *")).to_contain_text("five")


@pytest.fixture
def moderated(tmp_path):
    with HostedChat(tmp_path, extensions=("moderation",)) as served:
        yield served


def test_kicked_user_can_rejoin_and_misses_nothing(moderated, person):
    moderator = Identity("moderator", generate_key(2048))
    with connect(moderated.url, moderator) as chat, chat.room("lobby") as room:
        alice = person(moderated.url, "alice").start()
        alice.say("before")
        alice.expect_messages("before")
        room.ask(Kick("alice"), answer=Moderation)
        alice.expect_notice("You are not in this room")
        expect(alice.page.get_by_role("status")).to_have_text("Not in this room")
        expect(alice.page.locator("#members li")).to_have_count(0)
        room.say("offline")
        alice.say("let me in")
        failed = alice.page.locator(".message.failed")
        expect(failed).to_contain_text("let me in")
        alice.page.get_by_role("button", name="Try now").click()
        alice.expect_connected()
        alice.expect_notice("You were offline; 1 message arrived in the meantime.")
        failed.get_by_role("button", name="Try again").click()
        alice.expect_messages("before", "offline", "let me in")
        expect(alice.page.locator("#members li")).to_have_text(["alice", "moderator"])

        room.ask(Kick("alice"), answer=Moderation)
        expect(alice.page.get_by_role("status")).to_have_text("Not in this room")
        alice.open("lobby")
        alice.expect_messages("before", "offline", "let me in")


@over_http1
def test_leaving_with_unsent_messages_asks_first(restartable, person):
    alice = person(restartable.url, "alice").start()
    alice.may_lose_server = True
    restartable.kill()
    expect(alice.page.get_by_role("status")).to_contain_text("Offline")
    alice.say("on its way")
    asked = []

    def answer(dialog):
        asked.append(dialog.message)
        dialog.dismiss() if len(asked) == 1 else dialog.accept()

    alice.page.on("dialog", answer)
    leave = alice.page.get_by_role("button", name="Leave lobby")
    leave.click()
    expect(alice.page.locator(".message.sending")).to_have_count(1)
    leave.click()
    expect(alice.page.locator("#room-title")).to_have_text("No room")
    assert len(asked) == 2


@pytest.fixture
def line(served):
    """A proxy in front of the server. It ends after the pages: one that loses its server logs an error."""
    with SlowProxy(served.port) as line:
        yield line


def test_reconnect_reports_missed_messages(served, line, person):
    scheme = served.url.partition(":")[0]
    alice = person(f"{scheme}://localhost:{line.port}", "alice").start()
    bob = person(served.url, "bobby").start()
    bob.say("one")
    alice.expect_messages("one")
    alice.may_lose_server = True
    line.cut()
    expect(alice.page.get_by_role("status")).to_contain_text("Offline")
    for text in ("two", "three"):
        bob.say(text)
    bob.expect_messages("one", "two", "three")
    line.mend()
    alice.go_online()
    alice.expect_messages("one", "two", "three")
    alice.expect_notice("You were offline; 2 messages arrived in the meantime.")


def test_slow_network_shows_a_message_being_sent(served, line, person):
    scheme = served.url.partition(":")[0]
    alice = person(f"{scheme}://localhost:{line.port}", "alice").start()
    line.delay = 0.15
    for text in ("first", "second", "third"):
        alice.say(text)
    expect(alice.page.locator(".message.sending")).not_to_have_count(0)
    alice.expect_messages("first", "second", "third")
    expect(alice.page.locator(".message")).to_have_count(3)


@over_http1
def test_refused_message_can_be_retried_or_edited(served, person):
    alice = person(served.url, "alice").start()
    alice.say("x" * 5000)
    failed = alice.page.locator(".message.failed")
    expect(failed).to_contain_text("Not sent: content must be at most 4000 characters")
    failed.get_by_role("button", name="Try again").click()
    expect(alice.page.get_by_label("Message", exact=True)).to_be_focused()
    expect(failed).to_contain_text("Not sent")
    expect(alice.page.locator(".message")).to_have_count(1)
    failed.get_by_role("button", name="Edit").click()
    expect(alice.page.locator(".message")).to_have_count(0)
    expect(alice.page.get_by_label("Message", exact=True)).to_have_value("x" * 5000)
    alice.say("y" * 5000)
    failed.get_by_role("button", name="Discard").click()
    expect(alice.page.locator(".message")).to_have_count(0)


@over_http1
def test_unread_count_in_list_and_title(served, person):
    alice, bob = person(served.url, "alice").start(), person(served.url, "bobby").start()
    alice.open("garden")
    bob.say("one")
    bob.say("two")
    expect(alice.page).to_have_title("(2) garden · chat_actors")
    expect(alice.page.locator("#rooms .unread")).to_have_text(re.compile("lobby2"))
    alice.page.keyboard.press("Alt+ArrowUp")
    expect(alice.page.locator(".unread-line + *")).to_contain_text("one")
    alice.expect_messages("one", "two")
    expect(alice.page).to_have_title("lobby · chat_actors")
    alice.page.keyboard.press("Alt+ArrowDown")
    expect(alice.page.locator("#room-title")).to_have_text("garden")
    bob.say("three")
    expect(alice.page).to_have_title("(1) garden · chat_actors")
    alice.show_room("lobby")
    expect(alice.page.locator(".unread-line + *")).to_contain_text("three")
    expect(alice.page.locator(".unread-line")).to_have_count(1)
    alice.page.get_by_role("button", name="Leave garden").click()
    expect(alice.page.locator("#rooms .open")).to_have_text(["lobby"])


@over_http1
def test_messages_of_a_hidden_page_are_marked_new(served, person):
    alice, bob = person(served.url, "alice").start(), person(served.url, "bobby").start()
    bob.say("first")
    alice.expect_messages("first")
    alice.set_visible(False)
    bob.say("second")
    expect(alice.page).to_have_title("(1) lobby · chat_actors")
    alice.set_visible(True)
    expect(alice.page).to_have_title("lobby · chat_actors")
    expect(alice.page.locator(".unread-line + *")).to_contain_text("second")
    bob.say("third")
    alice.expect_messages("first", "second", "third")
    expect(alice.page.locator(".unread-line")).to_have_count(1)


@over_http1
def test_messages_of_a_room_never_shown_are_unread(served, person):
    alice, bob = person(served.url, "alice").start(), person(served.url, "bobby").start()
    bob.open("constructor")
    alice.may_lose_server = True
    places = """{"rooms": ["lobby", "constructor"], "current": "lobby"}"""
    alice.page.goto(f"{served.url}/web/icon.svg")
    alice.page.evaluate("places => localStorage.setItem('chat_actors.places', places)", places)
    alice.page.goto(served.url)
    alice.expect_connected()
    expect(bob.page.locator("#members li")).to_have_text(["alice", "bobby"])
    alice.page.goto(f"{served.url}/web/icon.svg")
    bob.say("offline")
    bob.expect_messages("offline")
    alice.page.goto(served.url)
    expect(alice.page).to_have_title("(1) lobby · chat_actors")


@over_http1
def test_message_during_a_click_keeps_the_click(served, person):
    alice, bob = person(served.url, "alice").start(), person(served.url, "bobby").start()
    alice.open("garden")
    alice.page.locator("#rooms .open", has_text="lobby").hover()
    alice.page.mouse.down()
    bob.say("in between")
    expect(alice.page).to_have_title("(1) garden · chat_actors")
    alice.page.evaluate("new Promise(requestAnimationFrame)")
    alice.page.mouse.up()
    expect(alice.page.locator("#room-title")).to_have_text("lobby")


@over_http1
def test_taken_name_is_refused_at_its_field(served, person):
    person(served.url, "alice").start()
    other = person(served.url, "alice")
    other.page.get_by_label("Your name").fill("alice")
    other.page.get_by_role("button", name="Start talking").click()
    expect(other.page.get_by_role("alert").first).to_have_text("The name alice is taken. Choose another.")
    other.name = "alice2"
    other.start()


def test_newcomer_needs_one_click(served, person):
    user = person(served.url, "visitor", makes_key=True)
    user.page.get_by_role("button", name="Start talking").click()
    user.expect_connected()
    user.page.keyboard.type("I am here")
    user.page.keyboard.press("Enter")
    user.expect_messages("I am here")
