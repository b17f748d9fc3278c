"""The table of limits: each is reached, separate for subjects outside of its scope, and shared within it."""

import importlib
import logging
import pkgutil

import pytest

from chat_actors import extensions
from chat_actors.server.settings import SECTIONS
from chat_actors.testing import on_virtual_time
from tests.conformance.limits_table import NOT_IN_THE_TABLE, TABLE


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "chat_actors")


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.name} {row.scope.name}".replace(" ", "-"))
@on_virtual_time
async def test_limit_has_its_scope(row, monkeypatch):
    for constant, value in row.constants.items():
        monkeypatch.setattr(constant, value)
    await row.prove()


def settings():
    return [f"{section}.{field}" for section, struct in SECTIONS.items() for field in struct.__struct_fields__]


def constants():
    """The limits of shipped extensions: their constants that begin with `MAX_`."""
    for module in pkgutil.iter_modules(extensions.__path__, f"{extensions.__name__}."):
        names = vars(importlib.import_module(module.name))
        yield from (f"{module.name}.{name}" for name in names if name.startswith("MAX_"))


@pytest.mark.parametrize("limit", [*settings(), *constants()])
def test_limit_has_a_row(limit):
    covered = {name for row in TABLE for name in (row.name, *row.covers, *row.constants)}
    assert (limit in covered) != (limit in NOT_IN_THE_TABLE)
