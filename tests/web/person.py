"""A user at a browser: types and clicks, and checks the contents of the page."""

from playwright.sync_api import expect

# Replaces only the generation of the key, which takes half a second.
KEY_MADE_BEFORE = """(() => {
  const bytes = Uint8Array.from(atob("%s"), one => one.charCodeAt(0));
  crypto.subtle.generateKey = async (scheme, extractable) =>
    ({ privateKey: await crypto.subtle.importKey("pkcs8", bytes, scheme, extractable, ["sign"]) });
})()"""


class Person:
    """One browser context. `leave` fails if the page has logged an error or a warning.

    With a `key`, the page does not generate one.
    """

    def __init__(self, browser, url, name, *, key=None, at="", width=1100, height=700, **options):
        self.name = name
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, ignore_https_errors=True, accept_downloads=True, **options
        )
        if key is not None:
            self.context.add_init_script(KEY_MADE_BEFORE % key)
        self.page = self.context.new_page()
        self.cdp = self.context.new_cdp_session(self.page)
        self.page_errors = []
        self.websocket_statuses = []
        self.may_lose_server = False
        self.page.on("console", self._logged)
        self.page.on("pageerror", lambda error: self.page_errors.append(str(error)))
        self.cdp.send("Network.enable")
        self.cdp.on(
            "Network.webSocketHandshakeResponseReceived",
            lambda event: self.websocket_statuses.append(event["response"]["status"]),
        )
        self.page.goto(f"{url}/{at}")

    def _logged(self, message):
        if message.type in {"error", "warning"} and not self.may_lose_server:
            self.page_errors.append(message.text)

    def leave(self):
        self.context.close()
        assert self.page_errors == [], self.page_errors

    def start(self):
        """Enter the name, and log in with one click."""
        self.page.get_by_label("Your name").fill(self.name)
        self.page.get_by_role("button", name="Start talking").click()
        return self.expect_connected()

    def expect_connected(self):
        expect(self.page.get_by_role("status")).to_have_text("Connected")
        return self

    def go_online(self):
        """Fire the browser's `online` event, so that the page reconnects at once."""
        self.page.evaluate("dispatchEvent(new Event('online'))")
        return self.expect_connected()

    def type(self, text):
        self.page.get_by_label("Message", exact=True).fill(text)

    def say(self, text):
        self.type(text)
        self.page.get_by_label("Message", exact=True).press("Enter")

    def open(self, room):
        self.page.get_by_label("Open a room").fill(room)
        self.page.get_by_label("Open a room").press("Enter")
        expect(self.page.locator("#room-title")).to_have_text(room)
        self.expect_connected()

    def show_room(self, room):
        self.page.locator("#rooms .open", has_text=room).click()

    def set_visible(self, is_visible):
        """Bring the page to the front, or hide it behind another tab."""
        state = "visible" if is_visible else "hidden"
        self.page.evaluate(f"""() => {{
            Object.defineProperty(document, "visibilityState", {{ value: "{state}", configurable: true }});
            document.dispatchEvent(new Event("visibilitychange")); }}""")

    @property
    def messages(self):
        return self.page.locator(".message .content")

    def expect_messages(self, *texts):
        """Check that these are the last messages, in this order, and that no other has the same text."""
        for text in texts:
            expect(self.page.locator(".message.sent .content", has_text=text)).to_have_count(1)
        shown = self.messages.all_inner_texts()
        assert shown[-len(texts) :] == list(texts), shown

    def expect_notice(self, text):
        expect(self.page.locator(".notice", has_text=text)).to_be_visible()
