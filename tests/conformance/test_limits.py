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


MODULES = [
    importlib.import_module(module.name)
    for module in pkgutil.iter_modules(extensions.__path__, f"{extensions.__name__}.")
]


def settings():
    """The settings of the server and of the shipped extensions."""
    shipped = [vars(module)["extension"] for module in MODULES if "extension" in vars(module)]
    structs = SECTIONS | {extension.name: extension.settings for extension in shipped}
    return [f"{section}.{field}" for section, struct in structs.items() for field in struct.__struct_fields__]


def constants():
    """The limits of the shipped extensions that are not settings: constants that begin with `MAX_`."""
    return [f"{module.__name__}.{name}" for module in MODULES for name in vars(module) if name.startswith("MAX_")]


@pytest.mark.parametrize("limit", [*settings(), *constants()])
def test_limit_has_a_row(limit):
    covered = {name for row in TABLE for name in (row.name, *row.covers, *row.constants)}
    assert (limit in covered) != (limit in NOT_IN_THE_TABLE)
