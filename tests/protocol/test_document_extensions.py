"""The protocol document describes the commands of extensions, whatever the types of their fields."""

import enum
import json
from typing import Annotated, Literal

import jsonschema
import msgspec
import pytest

from chat_actors.protocol import (
    CommandSpec,
    ExtensionCommand,
    ExtensionMessage,
    MessageSpec,
    SessionState,
    Vocabulary,
    encode,
)
from chat_actors.protocol.document import protocol_document
from chat_actors.protocol.page import protocol_page


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


class Rolled(ExtensionMessage, tag="rolled"):
    """The result."""

    result: int
    bonus: int = 0
    note: str | None = None
    secret: int | msgspec.UnsetType = msgspec.UNSET


class Watched(ExtensionMessage, tag="roll"):
    dice: list[Die]


DECLARED = protocol_document(
    Vocabulary(
        [CommandSpec("dice", Roll, ALLOWED, [Rolled]), CommandSpec("paint", Paint, ALLOWED, [])],
        [MessageSpec("dice", Rolled), MessageSpec("dice", Watched, is_unasked=True)],
    ),
    "0.1.0",
)
MESSAGES = DECLARED["components"]["messages"]


def replies(name):
    references = DECLARED["operations"][name]["reply"]["messages"]
    return [reference["$ref"].rpartition("/")[2] for reference in references]


def test_answers_of_a_command_are_documented():
    assert replies("extension.roll") == ["extension_message.rolled", "Error"]
    assert replies("extension.paint") == ["Error"]
    assert MESSAGES["extension_message.rolled"]["name"] == "rolled"
    assert MESSAGES["extension_message.rolled"]["x-owner"] == "dice"


def test_answers_that_are_not_declared_are_not_documented():
    assert "reply" not in protocol_document(Vocabulary(SPECS), "0.1.0")["operations"]["extension.roll"]


def test_message_without_a_request_is_an_operation():
    assert DECLARED["operations"]["extension_message.roll"]["action"] == "send"
    assert "extension_message.rolled" not in DECLARED["operations"]


def test_fields_with_defaults_are_always_sent():
    schema = DECLARED["components"]["schemas"]["extension_message.rolled"]
    assert schema["required"] == ["type", "result", "bonus", "note"]
    assert {"type": "null"} in schema["properties"]["note"]["anyOf"]
    assert json.loads(encode(Rolled(3))) == {"type": "rolled", "result": 3, "bonus": 0, "note": None}


def test_example_of_a_message_matches_its_schema():
    for name, message in MESSAGES.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": DECLARED["components"]}
        assert not list(jsonschema.Draft202012Validator(schema).iter_errors(message["examples"][0]["payload"])), name


@pytest.mark.parametrize("request_id", [None, msgspec.UNSET])
def test_message_without_an_id_has_no_id(request_id):
    assert "id" not in json.loads(encode(Rolled(3, request_id=request_id)))
    assert json.loads(encode(Rolled(3, request_id="r")))["id"] == "r"


def test_page_lists_messages_below_their_extension():
    page = protocol_page(DECLARED)
    commands, messages = page.index("## Commands of dice"), page.index("## Messages of dice")
    assert commands < page.index("### `roll`") < messages < page.index("### `rolled`")
    assert "Answered with `rolled` or `error`." in page
    assert "Answered only if it fails, with `error`." in page
    assert "Sent also without a request." in page
