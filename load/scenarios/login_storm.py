"""A login storm: how many logins does it take, and how long does one?

Everybody connects, logs in, goes, and comes again at once. The first time each user registers.
"""

from load.chat_user import ChatUser
from load.plugin import install

install(__file__)


class LoginUser(ChatUser):
    """Comes and goes."""

    def act(self) -> None:
        self.disconnect(clean=True)
