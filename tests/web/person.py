"""Somebody at a browser: does what people do, and sees what they see."""

from playwright.sync_api import expect

# Where the page would make a key, it gets this one. All that it does with the key it does itself.
KEY_MADE_BEFORE = """(() => {
  const bytes = Uint8Array.from(atob("%s"), one => one.charCodeAt(0));
  crypto.subtle.generateKey = async (scheme, extractable) =>
    ({ privateKey: await crypto.subtle.importKey("pkcs8", bytes, scheme, extractable, ["sign"]) });
})()"""


class Person:
    """One context of the browser. What the page complains of is kept, and must be nothing when they leave.

    With a `key` they need not make one.
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
        self.complaints = []
        self.websocket_statuses = []
        self.may_lose_server = False
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.cdp.send("Network.enable")
        self.cdp.on(
            "Network.webSocketHandshakeResponseReceived",
            lambda event: self.websocket_statuses.append(event["response"]["status"]),
        )
        self.page.goto(f"{url}/{at}")

    def _heard(self, message):
        if message.type in {"error", "warning"} and not self.may_lose_server:
            self.complaints.append(message.text)

    def leave(self):
        self.context.close()
        assert self.complaints == [], self.complaints

    def start(self):
        """Come in under one's name: one click."""
        self.page.get_by_label("Your name").fill(self.name)
        self.page.get_by_role("button", name="Start talking").click()
        return self.is_inside()

    def is_inside(self):
        expect(self.page.get_by_role("status")).to_have_text("Connected")
        return self

    def hears_that_the_network_is_back(self):
        """The browser says so: then nobody waits for the next try, which may be seconds away."""
        self.page.evaluate("dispatchEvent(new Event('online'))")
        return self.is_inside()

    def type(self, text):
        self.page.get_by_label("Message", exact=True).fill(text)

    def say(self, text):
        self.type(text)
        self.page.get_by_label("Message", exact=True).press("Enter")

    def open(self, room):
        self.page.get_by_label("Open a room").fill(room)
        self.page.get_by_label("Open a room").press("Enter")
        expect(self.page.locator("#room-title")).to_have_text(room)
        self.is_inside()

    def look(self, room):
        self.page.locator("#rooms .open", has_text=room).click()

    def shows(self, is_shown):
        """Whether the page is in front, or behind another tab."""
        state = "visible" if is_shown else "hidden"
        self.page.evaluate(f"""() => {{
            Object.defineProperty(document, "visibilityState", {{ value: "{state}", configurable: true }});
            document.dispatchEvent(new Event("visibilitychange")); }}""")

    @property
    def messages(self):
        return self.page.locator(".message .content")

    def sees(self, *texts):
        """These messages are the last in the room, in this order; and no other has the same text."""
        for text in texts:
            expect(self.page.locator(".message.sent .content", has_text=text)).to_have_count(1)
        shown = self.messages.all_inner_texts()
        assert shown[-len(texts) :] == list(texts), shown

    def sees_notice(self, text):
        expect(self.page.locator(".notice", has_text=text)).to_be_visible()
