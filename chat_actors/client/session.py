"""The client's side of the protocol without I/O: what to send next, and what has come."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum, auto

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from chat_actors.client.dialect import Dialect, Unknown
from chat_actors.client.errors import ClientError
from chat_actors.client.keyfile import public_pem
from chat_actors.identity import sign
from chat_actors.protocol import (
    AnyCommand,
    AnyMessage,
    Authenticate,
    GetChallenge,
    Register,
    encode_command,
    messages,
    refusals,
)


class Refused(ClientError):
    """The server refused what this client needs to go on."""

    def __init__(self, doing: str, text: str, code: str | None) -> None:
        self.doing = doing
        self.text = text
        self.code = code

    def __str__(self) -> str:
        return f"the server refused to {self.doing}: {self.text}"


class Step(Enum):
    """What the session is waiting for."""

    CHALLENGE = auto()
    AUTHENTICATION = auto()
    REGISTRATION = auto()
    READY = auto()


class ClientSession:
    """Logs a user in, registering them if the server does not know them yet, then sends and receives.

    Sans I/O: give it each text that comes with `receive`, send all of `to_send`, and act on the messages it returns.
    """

    def __init__(self, user_id: str, key: RSAPrivateKey, dialect: Dialect | None = None) -> None:
        """`dialect` knows the messages of extensions, if there are any to be heard."""
        self.user_id = user_id
        self._key = key
        self._dialect = dialect or Dialect()
        self._has_tried_to_register = False
        self._step = Step.CHALLENGE
        self._outgoing: deque[str] = deque()
        self.send(GetChallenge())

    @property
    def step(self) -> Step:
        """What it is waiting for."""
        return self._step

    @property
    def is_ready(self) -> bool:
        """Whether the user is logged in."""
        return self._step is Step.READY

    def to_send(self) -> Sequence[str]:
        """The texts that are to be sent now, oldest first; each is returned once."""
        texts = list(self._outgoing)
        self._outgoing.clear()
        return texts

    def send(self, command: AnyCommand) -> None:
        """Send any command; once the user is logged in, that is up to the caller."""
        self._outgoing.append(encode_command(command))

    def receive(self, text: str | bytes) -> AnyMessage | Unknown | None:
        """Take what has come. Returns the message if it concerns the user: None for the steps of logging in.

        Raises `Refused` if the login fails.
        """
        message = self._dialect.decode(text)
        match message:
            case Unknown() if self._step is not Step.READY:
                return None  # from a newer server
            case messages.Challenge() if self._step is Step.CHALLENGE:
                self._step = Step.AUTHENTICATION
                self.send(Authenticate(self.user_id, sign(self._key, message.challenge)))
                return None
            case messages.Registered() if self._step is Step.REGISTRATION:
                self._step = Step.CHALLENGE
                self.send(GetChallenge())
                return None
            case messages.Authenticated() if self._step is Step.AUTHENTICATION:
                self._step = Step.READY
                return message
            case messages.Error() if self._step is not Step.READY:
                self._on_refusal(message)
                return None
            case _:
                return message

    def _on_refusal(self, error: messages.Error) -> None:
        match self._step:
            case Step.AUTHENTICATION if (
                error.message == refusals.USER_NOT_REGISTERED.text and not self._has_tried_to_register
            ):
                self._step = Step.REGISTRATION
                self._has_tried_to_register = True
                self.send(Register(self.user_id, public_pem(self._key)))
            case Step.REGISTRATION if error.code == refusals.USER_EXISTS.code:
                # Another connection of the same user may have been quicker; whether it was, the signature shows.
                self._step = Step.CHALLENGE
                self.send(GetChallenge())
            case step:
                doing = "register" if step is Step.REGISTRATION else "log in"
                raise Refused(f"{doing} {self.user_id}", error.message, error.code)
