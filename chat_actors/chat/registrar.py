"""The registrar: the only actor that creates accounts."""

from __future__ import annotations

import logging
from typing import TypeAlias

import anyio
import msgspec

from chat_actors.chat import events
from chat_actors.chat.limits import Limits
from chat_actors.identity import AttemptLimit, KeyRefused, network_of, parse_public_key
from chat_actors.kernel import Actor, Escalate, Request, Restart, StopReason, handles
from chat_actors.protocol import Refusal, is_user_id, refusals
from chat_actors.storage import Accounts, Removals, StorageError

logger = logging.getLogger(__name__)


class RegisterUser(Request["Refusal | None"], msgspec.Struct, frozen=True):
    """Create an account. Answered with a refusal, or with None once the account is stored."""

    user_id: str
    public_key: str
    address: str


RegistrarMessage: TypeAlias = RegisterUser


class Registrar(Actor[RegistrarMessage]):
    """Registers users one after the other, so that the check for an existing user and the insert are not interleaved.

    If the storage fails, the registrar logs it and refuses the request; the next request tries again.
    """

    mailbox_capacity = 1024
    supervision = Restart(at_most=5, within=60.0, then=Escalate())

    def __init__(self, accounts: Accounts, attempts: AttemptLimit, removals: Removals | None = None) -> None:
        self._accounts = accounts
        self._removals = removals
        self._attempts = attempts  # passed in, so that the counts outlive a crash

    @classmethod
    def attempts(cls, limits: Limits) -> AttemptLimit:
        """Make the table of registration attempts for these limits."""
        return AttemptLimit(limits.registrations, limits.registration_window)

    @handles
    async def register(self, request: RegisterUser) -> Refusal | None:
        if not self._attempts.allow(network_of(request.address), anyio.current_time()):
            return refusals.TOO_MANY_REGISTRATIONS
        if not is_user_id(request.user_id):
            return refusals.INVALID_USER_ID
        try:
            # The protocol orders the errors: "taken" takes precedence over an invalid key.
            if await self._is_taken(request.user_id):
                return refusals.USER_EXISTS
            key = parse_public_key(request.public_key)
            if not await self._accounts.register(request.user_id, key.spki):
                return refusals.USER_EXISTS
        except KeyRefused as error:
            return error.refusal
        except StorageError as error:
            logger.error("registration refused: %s", error)
            return refusals.INTERNAL_FAILURE
        self.context.events.publish(events.UserRegistered(request.user_id, request.address))
        return None

    async def _is_taken(self, user_id: str) -> bool:
        if await self._accounts.key_of(user_id) is not None:
            return True
        return self._removals is not None and await self._removals.is_reserved(user_id)

    async def on_stop(self, reason: StopReason) -> None:
        await self._accounts.aclose()
