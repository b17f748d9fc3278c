"""Conformance suites for adapters of the storage ports, as classes of pytest tests.

Subclass a suite in a test module and open your adapter in it::

    from chat_actors.testing.storage import JournalConformance


    class TestMyJournal(JournalConformance):
        async def open(self, place):
            return await MyJournal.open(place / "messages.db")

The hooks (`reopen`, `fail_at`, `hold_writes`) are described in `Conformance`. Needs pytest; the server does not import
this package.
"""

import pytest

_TESTS = ("accounts", "conformance", "journal_faults", "journal_order", "journal_pages", "journal_retention", "states")
# Before the modules are imported: their assertions then show the values that they compare.
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _TESTS))

from chat_actors.testing.storage.accounts import AccountsConformance  # noqa: E402
from chat_actors.testing.storage.conformance import Conformance  # noqa: E402
from chat_actors.testing.storage.journal import JournalConformance  # noqa: E402
from chat_actors.testing.storage.states import StatesConformance  # noqa: E402

__all__ = ["AccountsConformance", "Conformance", "JournalConformance", "StatesConformance"]
