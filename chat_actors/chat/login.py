"""Registration and challenge-response authentication of one session."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

from chat_actors.chat.limits import Limits
from chat_actors.chat.registrar import RegisterUser, RegistrarMessage
from chat_actors.identity import Challenge, SignatureUndecodable, issue_challenge, load_public_key, verify
from chat_actors.kernel import ActorStopped, AskFailed, AskTimeout, Ref
from chat_actors.protocol import Authenticate, Refusal, Register, is_user_id, refusals
from chat_actors.storage import Accounts, StorageError

logger = logging.getLogger(__name__)

ASK_TIMEOUT = 10.0
"""Seconds that a session waits for the registrar."""


class Login:
    """The part of a session that registers and authenticates its user."""

    __slots__ = ("_accounts", "_address", "_challenge", "_challenge_seconds", "_random_bytes", "_registrar")

    def __init__(
        self,
        address: str,
        limits: Limits,
        accounts: Accounts,
        registrar: Ref[RegistrarMessage],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._address = address
        self._challenge_seconds = limits.challenge_seconds
        self._accounts = accounts
        self._registrar = registrar
        self._random_bytes = random_bytes
        self._challenge: Challenge | None = None

    def issue_challenge(self) -> str:
        """Issue a challenge and return it in base64. It replaces the previous one."""
        self._challenge = issue_challenge(self._random_bytes, anyio.current_time())
        return self._challenge.text

    async def register(self, command: Register) -> Refusal | None:
        """Register a user with its public key. Returns the refusal, or None."""
        request = RegisterUser(command.user_id, command.public_key, self._address)
        try:
            return await self._registrar.ask(request, timeout=ASK_TIMEOUT)
        except (ActorStopped, AskFailed, AskTimeout):
            return refusals.INTERNAL_FAILURE

    async def authenticate(self, command: Authenticate) -> Refusal | None:
        """Verify the signature of the challenge, which is valid for one attempt. Returns the refusal, or None."""
        challenge, self._challenge = self._challenge, None
        try:
            key = await self._accounts.key_of(command.user_id) if is_user_id(command.user_id) else None
        except StorageError as error:
            logger.error("authentication refused: %s", error)
            return refusals.INTERNAL_FAILURE
        if key is None:
            return refusals.USER_NOT_REGISTERED
        if challenge is None:
            return refusals.NO_CHALLENGE
        if challenge.is_expired(anyio.current_time(), self._challenge_seconds):
            return refusals.CHALLENGE_EXPIRED
        try:
            return None if verify(load_public_key(key), challenge, command.signature) else refusals.INVALID_SIGNATURE
        except SignatureUndecodable:
            return refusals.AUTHENTICATION_FAILED
