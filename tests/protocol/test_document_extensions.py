"""The protocol document describes the commands of extensions, whatever the types of their fields."""

import enum
from typing import Annotated, Literal

import jsonschema
import msgspec
import pytest

from chat_actors.protocol import CommandSpec, ExtensionCommand, SessionState, Vocabulary
from chat_actors.protocol.document import protocol_document


class Size(enum.Enum):
    """A size."""

    SMALL = "s"
    LARGE = "l"


class Die(msgspec.Struct):
    """A die."""

    id: int
    sides: Annotated[int, msgspec.Meta(ge=2)]


class Roll(ExtensionCommand, tag="roll"):
    """Roll `first_die`."""

    first_die: Die
    others: list[Die]
    anything: list
    labels: dict[str, str]
    color: Literal["red", "blue"]
    weight: Annotated[float, msgspec.Meta(gt=0)]
    size: Size
    bonus: int
    is_loaded: bool
    name: str
    times: int = 3
    note: str | None = None
    target: int | str | None = None


OtherDie = msgspec.defstruct("Die", [("color", str)])


class Paint(ExtensionCommand, tag="paint"):
    """Paint a die."""

    die: OtherDie


ALLOWED = dict.fromkeys(SessionState)
SPECS = [CommandSpec("dice", Roll, ALLOWED), CommandSpec("paint", Paint, ALLOWED)]
COMPONENTS = protocol_document(Vocabulary(SPECS), "0.1.0")["components"]
FIELDS = COMPONENTS["schemas"]["extension.roll"]["properties"]
EXAMPLE = COMPONENTS["messages"]["extension.roll"]["examples"][0]["payload"]


def test_example_matches_its_schema():
    schema = {"$ref": "#/components/schemas/extension.roll", "components": COMPONENTS}
    assert [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(EXAMPLE)] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("firstDie", {"id": 0, "sides": 2}),
        ("others", [{"id": 0, "sides": 2}]),
        ("anything", []),
        ("labels", {}),
        ("color", "blue"),
        ("weight", 1),
        ("size", "l"),
        ("bonus", 0),
        ("isLoaded", True),
        ("name", "…"),
    ],
)
def test_example_value_fits_the_field_type(field, value):
    assert EXAMPLE[field] == value


def test_example_omits_the_request_id():
    assert "id" in FIELDS
    assert "id" not in EXAMPLE


def test_schemas_have_no_title_and_description():
    """Messages have a summary instead."""
    assert [name for name, schema in COMPONENTS["schemas"].items() if {"title", "description"} & set(schema)] == []


def test_structs_of_one_name_have_their_own_schemas():
    assert set(COMPONENTS["schemas"]["extension.roll.Die"]["properties"]) == {"id", "sides"}
    assert set(COMPONENTS["schemas"]["extension.paint.Die"]["properties"]) == {"color"}


def test_default_is_documented():
    assert FIELDS["times"] == {"type": "integer", "default": 3}


def test_null_is_not_documented_as_a_default():
    assert FIELDS["note"] == {"type": "string"}
    assert set(FIELDS["target"]) == {"anyOf"}
