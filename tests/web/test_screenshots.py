"""Screenshots of the page, written to the folder SCREENSHOTS_DIR."""

import os
from pathlib import Path

from playwright.sync_api import expect

from tests.web.conftest import over_http1

PNG = b"\x89PNG"

TALK = (
    ("alice", "Good morning! Is anybody awake?"),
    ("bobby", "Barely. The coffee is still thinking about it."),
    ("alice", "I wrote the page about key files: https://example.org/keys"),
    ("bobby", "Reading it now…\nThe second paragraph is very good."),
    ("carol", "שלום! I came for the second paragraph."),
    ("alice", "Then you are in the right room."),
)


@over_http1
def test_screenshots_of_desk_and_phone(served, person, tmp_path):
    folder = Path(os.environ.get("SCREENSHOTS_DIR") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    people = {name: person(served.url, name, width=1000, height=640) for name in ("alice", "bobby", "carol")}
    for one in people.values():
        one.start()
    people["alice"].open("garden")
    people["alice"].show_room("lobby")
    phone = person(served.url, "david", width=390, height=760, color_scheme="dark", device_scale_factor=2).start()
    for name, text in TALK:
        people[name].say(text)
        expect(phone.page.locator(".message", has_text=text.split("\n")[0])).to_be_visible()
    people["alice"].type("And bring biscuits")
    for name, one in (("desk", people["alice"]), ("phone", phone)):
        picture = one.page.screenshot(path=folder / f"{name}.png")
        assert picture.startswith(PNG)
        assert len(picture) > 20_000
