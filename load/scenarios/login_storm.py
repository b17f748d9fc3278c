"""Login storm: how many logins does the server handle per second, and what is their latency?

Every user connects, logs in, disconnects, and repeats without a pause. The first time it registers.
"""

from load.chat_user import ChatUser
from load.plugin import install

install(__file__)


class LoginUser(ChatUser):
    """Logs in and disconnects."""

    def act(self) -> None:
        self.disconnect(clean=True)
