"""Churn: what does it cost that people come and go?

Everybody says something, switches to another room, leaves it, joins the next, and now and then goes offline and comes
back.
"""

from load.chat_user import ChatUser
from load.plugin import install

install(__file__)


class Restless(ChatUser):
    """Never stays."""

    def a_room(self) -> str:
        rooms = max(2, self.options.num_users // self.options.room_size)
        return f"churn-{self.random.randrange(rooms)}"

    def enter(self) -> None:
        self.line.join(self.a_room())

    def act(self) -> None:
        self.line.listen(self.pause())
        self.line.say(self.options.chars)
        match self.random.randrange(5):
            case 0:
                self.line.leave()
                self.line.join(self.a_room())
            case 1:
                self.leave_line(with_a_word=True)
            case _:
                self.line.switch(self.a_room())
