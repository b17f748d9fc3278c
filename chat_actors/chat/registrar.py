"""The registrar: the one actor that makes accounts."""

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
from chat_actors.storage import Accounts, StorageError

logger = logging.getLogger(__name__)


class RegisterUser(Request["Refusal | None"], msgspec.Struct, frozen=True):
    """Make an account. The answer is why not, or None: it exists now and survives a crash."""

    user_id: str
    public_key: str
    address: str


RegistrarMessage: TypeAlias = RegisterUser


class Registrar(Actor[RegistrarMessage]):
    """Registers users, one after the other, so that nothing comes between a look and what follows from it.

    A storage that fails is answered with a refusal and logged; the next request tries again.
    """

    mailbox_capacity = 1024
    supervision = Restart(at_most=5, within=60.0, then=Escalate())

    def __init__(self, accounts: Accounts, attempts: AttemptLimit) -> None:
        self._accounts = accounts
        self._attempts = attempts  # passed in, so that a crash does not wipe the slate

    @classmethod
    def attempts(cls, limits: Limits) -> AttemptLimit:
        """The table of registration attempts for these limits."""
        return AttemptLimit(limits.registrations, limits.registration_window)

    @handles
    async def register(self, request: RegisterUser) -> Refusal | None:
        if not self._attempts.allow(network_of(request.address), anyio.current_time()):
            return refusals.TOO_MANY_REGISTRATIONS
        if not is_user_id(request.user_id):
            return refusals.INVALID_USER_ID
        try:
            # "Taken" comes before what is wrong with the key, as the table of the protocol has it.
            if await self._accounts.key_of(request.user_id) is not None:
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

    async def on_stop(self, reason: StopReason) -> None:
        await self._accounts.aclose()
