"""Conformance suite of the journal port."""

from __future__ import annotations

from chat_actors.testing.storage.journal_faults import JournalFaults
from chat_actors.testing.storage.journal_order import JournalOrder
from chat_actors.testing.storage.journal_pages import JournalPages
from chat_actors.testing.storage.journal_retention import JournalRetention


class JournalConformance(JournalOrder, JournalPages, JournalRetention, JournalFaults):
    """Tests of an adapter of `Journal`. The hooks are those of `Conformance`.

    A place is empty at first, and the numbers of a room go up by one, from 1. Open an adapter that stores a bounded
    number of messages with at least 10,000 for a room.
    """
