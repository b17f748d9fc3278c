"""The client's side of one connection, without I/O: the login, then commands and messages.

Steps: with `features`, a `hello` is sent together with the first request for a challenge, and the `welcome` must offer
them. Then the challenge is signed. A server that does not know the user gets a registration, and the login is repeated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from enum import Enum, auto

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from chat_actors import __version__
from chat_actors.client.errors import ClientError, ServerTooOld
from chat_actors.client.keyfile import public_pem
from chat_actors.client.message_decoder import MessageDecoder, UnknownMessage
from chat_actors.identity import sign
from chat_actors.protocol import (
    PROTOCOL_PART,
    AnyCommand,
    AnyMessage,
    Authenticate,
    GetChallenge,
    Hello,
    Register,
    encode_command,
    messages,
    refusals,
)

CLIENT_NAME = f"chat_actors-python/{__version__}"
"""Sent in `hello`, for the server's operator."""

UNKNOWN_TYPE = "unknown_type"
"""The code of the refusal of `hello` by a server that knows only the parts 1 and 2 of the protocol."""


class AccessRefused(ClientError):
    """The server refused the login or the registration.

    Attributes:
        doing: The refused action, such as "log in alice".
        text: The server's explanation, for people.
        code: The error code, for programs; None if the server gave none.
    """

    def __init__(self, doing: str, text: str, code: str | None) -> None:
        self.doing = doing
        self.text = text
        self.code = code

    def __str__(self) -> str:
        return f"the server refused to {self.doing}: {self.text}"


class Step(Enum):
    """The next message that a `ClientSession` needs.

    Attributes:
        WELCOME: The features of the server.
        CHALLENGE: The challenge to sign.
        AUTHENTICATION: The answer to the signature.
        REGISTRATION: The answer to the registration.
        READY: Nothing: the user is logged in.
    """

    WELCOME = auto()
    CHALLENGE = auto()
    AUTHENTICATION = auto()
    REGISTRATION = auto()
    READY = auto()


class ClientSession:
    """One connection, without I/O: logs the user in, registering an unknown user, then sends and receives.

    Pass every received text to `receive`, send every text of `to_send`, and handle the messages that `receive` returns.

    Attributes:
        user_id: The user.
        welcome: The server's features and limits; None without `features`, and until they are known.
    """

    def __init__(
        self,
        user_id: str,
        key: RSAPrivateKey,
        decoder: MessageDecoder | None = None,
        *,
        features: Collection[str] = (),
    ) -> None:
        """Start the login.

        Args:
            user_id: The user.
            key: The user's private key.
            decoder: Decodes the messages of extensions as well; by default only the built-in ones.
            features: The features that the server must offer. Without any, the session sends no `hello`.
        """
        self.user_id = user_id
        self.welcome: messages.Welcome | None = None
        self._features = features
        self._key = key
        self._decoder = decoder or MessageDecoder()
        self._has_tried_to_register = False
        self._step = Step.WELCOME if features else Step.CHALLENGE
        self._outgoing: deque[str] = deque()
        if features:
            self.send(Hello(protocol=PROTOCOL_PART, features=list(features), client=CLIENT_NAME))
        self.send(GetChallenge())

    @property
    def step(self) -> Step:
        """The next message that the session needs."""
        return self._step

    @property
    def is_ready(self) -> bool:
        """Whether the user is logged in."""
        return self._step is Step.READY

    @property
    def unsent(self) -> int:
        """How many texts wait for `to_send`."""
        return len(self._outgoing)

    def to_send(self) -> Sequence[str]:
        """Take the texts to send now.

        Returns:
            The texts, oldest first. Each is returned once.
        """
        texts = list(self._outgoing)
        self._outgoing.clear()
        return texts

    def send(self, command: AnyCommand) -> None:
        """Queue a command for `to_send`.

        Args:
            command: Any command. Before the login, the server refuses most of them.

        Raises:
            ValueError: A string of the command is not valid Unicode.
        """
        self._outgoing.append(encode_command(command))

    def receive(self, text: str | bytes) -> AnyMessage | UnknownMessage | None:
        """Handle a received text.

        Args:
            text: The payload of one WebSocket message.

        Returns:
            The message, or None if it is a step of the login.

        Raises:
            AccessRefused: The server refused the login or the registration.
            ServerTooOld: The server does not offer the features.
        """
        message = self._decoder.decode(text)
        match message:
            case UnknownMessage() if self._step is not Step.READY:
                return None  # from a newer server
            case messages.Welcome() if self._step is Step.WELCOME:
                self._on_welcome(message)
                return None
            case messages.Challenge() if self._step is Step.WELCOME:
                raise ServerTooOld(list(self._features))  # it has ignored the hello
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

    def _on_welcome(self, welcome: messages.Welcome) -> None:
        missing = [feature for feature in self._features if feature not in welcome.features]
        if missing:
            raise ServerTooOld(missing)
        self.welcome = welcome
        self._step = Step.CHALLENGE

    def _on_refusal(self, error: messages.Error) -> None:
        match self._step:
            case Step.WELCOME if error.code == UNKNOWN_TYPE or error.message.startswith("Unknown message type"):
                raise ServerTooOld(list(self._features))
            case Step.AUTHENTICATION if (
                error.message == refusals.USER_NOT_REGISTERED.text and not self._has_tried_to_register
            ):
                self._step = Step.REGISTRATION
                self._has_tried_to_register = True
                self.send(Register(self.user_id, public_pem(self._key)))
            case Step.REGISTRATION if error.code == refusals.USER_EXISTS.code:
                # Another connection of the same user may have registered it first. The signature will show it.
                self._step = Step.CHALLENGE
                self.send(GetChallenge())
            case step:
                doing = "register" if step is Step.REGISTRATION else "log in"
                raise AccessRefused(f"{doing} {self.user_id}", error.message, error.code)
