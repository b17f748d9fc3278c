"""A soak: does the server stay as it is, for hours?

Ordinary talk, in rooms of `--room-size`; now and then somebody goes offline and comes back. The server's memory must
not grow. Let it run for an hour at least: `--minutes 240`.
"""

from load.chat_user import ChatUser
from load.plugin import install

install(__file__)


class Regular(ChatUser):
    """Talks, and sometimes loses the line."""

    def enter(self) -> None:
        self.line.recover(f"soak-{self.worker}-{self.number // self.options.room_size}")

    def act(self) -> None:
        self.line.listen(self.pause())
        self.line.say(self.options.chars)
        if self.random.random() < 0.05:
            self.leave_line(with_a_word=self.random.random() < 0.5)
