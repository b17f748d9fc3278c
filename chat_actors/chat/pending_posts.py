"""The posts of a room that are not stored yet: the drafts, and those of the one append in flight."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence

import msgspec

from chat_actors.chat.members import Member
from chat_actors.kernel import AnyRef, OwedAnswer
from chat_actors.protocol import Refusal
from chat_actors.storage import Append, Draft, Receipt, StoredMessage


class PendingPost(msgspec.Struct, frozen=True):
    """A message that is not stored yet, with its sender."""

    draft: Draft
    author: Member
    request_id: str | None = None
    answer: OwedAnswer[Refusal | None] | None = None
    """The answer owed to a `PostAs` request, if there was one."""
    posted_by: str = ""
    """The extension whose room kind posts, if one does."""


class PendingPosts:
    """A post is added as a draft, then is in flight with all other drafts, and is taken out with them."""

    __slots__ = ("_counts", "drafts", "in_flight")

    def __init__(self) -> None:
        self.drafts: list[PendingPost] = []
        self.in_flight: Sequence[PendingPost] = ()
        """The posts of the one append that the journal writer is storing."""
        self._counts: dict[AnyRef | str, int] = {}
        """The number of posts of each session and of each user."""

    def __len__(self) -> int:
        return len(self.drafts) + len(self.in_flight)

    def has_any_of(self, author: AnyRef | str) -> bool:
        """Whether a post of this session or of the user with this id is pending."""
        return author in self._counts

    def repeated(self, user_id: str, client_msg_id: str) -> Draft | None:
        """The draft of this user with this id, if there is one."""
        drafts = (pending.draft for pending in itertools.chain(self.in_flight, self.drafts))
        return next((each for each in drafts if (each.user_id, each.client_msg_id) == (user_id, client_msg_id)), None)

    def add(self, pending: PendingPost) -> None:
        """Add a post to those that the next append stores."""
        self.drafts.append(pending)
        counts, session, user_id = self._counts, pending.author.session, pending.draft.user_id
        counts[session] = counts.get(session, 0) + 1
        counts[user_id] = counts.get(user_id, 0) + 1

    def next_append(self, room_id: str) -> Append | None:
        """The drafts, which now are in flight. None if there are none, or if an append is in flight already."""
        if not self.drafts or self.in_flight:
            return None
        self.in_flight, self.drafts = self.drafts, []
        return Append(room_id, [pending.draft for pending in self.in_flight])

    def take_in_flight(self) -> Sequence[PendingPost]:
        """Take out the posts in flight."""
        taken, self.in_flight = self.in_flight, ()
        self._count_out(taken)
        return taken

    def take_drafts(self) -> Sequence[PendingPost]:
        """Take out the drafts."""
        taken, self.drafts = self.drafts, []
        self._count_out(taken)
        return taken

    def _count_out(self, posts: Sequence[PendingPost]) -> None:
        counts = self._counts
        for pending in posts:
            for author in (pending.author.session, pending.draft.user_id):
                if counts[author] == 1:
                    del counts[author]
                else:
                    counts[author] -= 1

    def posted_by(self, message: StoredMessage) -> str:
        """The extension whose room kind has posted a message that was read from the journal, if it is in flight."""
        for pending in self.in_flight:
            if pending.posted_by and _is_stored_as(pending.draft, message):
                return pending.posted_by
        return ""

    def receipts(self, by_id: Sequence[Receipt | None], stored: Collection[StoredMessage]) -> Sequence[Receipt | None]:
        """The receipt of each post in flight, or None if it is not stored.

        `by_id` are the receipts that the journal has for the drafts with a `client_msg_id`, and None for the others,
        which are looked for in `stored`: the messages that were stored since the append began.
        """
        known = {receipt.seq for receipt in by_id if receipt is not None}
        others = [message for message in stored if message.seq not in known]
        receipts = []
        for pending, receipt in zip(self.in_flight, by_id, strict=True):
            if receipt is None and pending.draft.client_msg_id is None:
                found = next((message for message in others if _is_stored_as(pending.draft, message)), None)
                if found is not None:
                    others.remove(found)
                    receipt = Receipt(found.seq, found.at, is_new=True)
            receipts.append(receipt)
        return receipts


def _is_stored_as(draft: Draft, message: StoredMessage) -> bool:
    return (draft.user_id, draft.content) == (message.user_id, message.content)
