"""Settings of extensions come from the file, the environment and `--set`, and are checked by their own struct."""

from typing import Annotated, Literal

import msgspec
import pytest

from chat_actors.server.extension_settings import convert_section, settings_rows
from chat_actors.server.settings import WrittenText
from chat_actors.server.settings_sources import SettingsError, load_settings

PREFIX = "CHAT_ACTORS_EXTENSIONS__DICE__"


class Side(msgspec.Struct, frozen=True):
    name: str
    weight: float = 1.0


class DiceSettings(msgspec.Struct, frozen=True, rename="camel"):
    sides: Annotated[int, msgspec.Meta(ge=2)] = 6
    max_rolls: int | None = None
    is_loaded: bool = False
    color: Literal["red", "blue"] = "red"
    title: str = "dice"
    rooms: tuple[str, ...] = ("*",)
    weighted: tuple[Side, ...] = ()
    api_tokens: dict[str, str] = {}


def load(tmp_path=None, environ=None, assignments=(), toml=None):
    config = None
    if toml is not None:
        config = tmp_path / "chat.toml"
        config.write_text(toml)
    sections = load_settings(config, environ or {}, {}, assignments).settings.extensions
    return convert_section("dice", DiceSettings, sections.get("dice", {}))


@pytest.mark.parametrize(
    ("key", "text", "field", "value"),
    [
        ("sides", "20", "sides", 20),
        ("maxRolls", "3", "max_rolls", 3),
        ("maxRolls", "null", "max_rolls", None),
        ("isLoaded", "true", "is_loaded", True),
        ("color", "blue", "color", "blue"),
        ("title", "[1, 2]", "title", "[1, 2]"),
        ("title", "20", "title", "20"),
        ("rooms", "a, b-*", "rooms", ("a", "b-*")),
        ("rooms", '["a,b"]', "rooms", ("a,b",)),
        ("rooms", "", "rooms", ()),
        ("weighted", '[{"name": "six", "weight": 2}]', "weighted", (Side("six", 2.0),)),
        ("apiTokens", '{"bot": "secret"}', "api_tokens", {"bot": "secret"}),
    ],
)
def test_text_has_the_type_of_its_setting(key, text, field, value):
    assert getattr(load(environ={PREFIX + key.upper(): text}), field) == value
    assert getattr(load(assignments=[f"extensions.dice.{key}={text}"]), field) == value


def test_set_overrides_environment_overrides_file(tmp_path):
    toml = "[extensions.dice]\nsides = 3\nmaxRolls = 3\ntitle = 'three'\n"
    environ = {PREFIX + "SIDES": "4", PREFIX + "MAXROLLS": "4"}
    assert load(tmp_path, environ, ["extensions.dice.sides=5"], toml) == DiceSettings(5, 4, title="three")


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        ("sides", "many", "extensions.dice.sides: must be a whole number, not 'many'"),
        ("sides", "1", "extensions.dice.sides: must be `int` >= 2, not '1'"),
        ("color", "green", "extensions.dice.color: must be one of red, blue, not 'green'"),
        ("weighted", "[{", "extensions.dice.weighted: is not valid JSON"),
        ("weighted", "six", "extensions.dice.weighted: must be"),
        ("side", "6", "extensions.dice.side: is not a setting, did you mean extensions.dice.sides?"),
        ("nonsense", "6", "extensions.dice.nonsense: is not a setting; the extension has sides, maxRolls"),
    ],
)
def test_invalid_text_error_names_source_and_key(key, text, problem):
    for source, sources in (
        (PREFIX + key.upper(), {"environ": {PREFIX + key.upper(): text}}),
        ("--set", {"assignments": [f"extensions.dice.{key}={text}"]}),
    ):
        with pytest.raises(SettingsError) as caught:
            load(**sources)
        assert str(caught.value).startswith(f"{source}: {problem}")


def test_file_is_as_strict_as_before(tmp_path):
    with pytest.raises(msgspec.ValidationError, match="Expected `int`"):
        load(tmp_path, toml="[extensions.dice]\nsides = '20'\n")
    with pytest.raises(SettingsError, match=r"extensions\.dice\.maxrolls: is not a setting, did you mean"):
        load(tmp_path, toml="[extensions.dice]\nmaxrolls = 3\n")


@pytest.mark.parametrize("variable", ["CHAT_ACTORS_EXTENSIONS", "CHAT_ACTORS_EXTENSIONS__DICE"])
def test_variable_must_name_a_setting(variable):
    with pytest.raises(SettingsError, match=r"write extensions\.NAME\.KEY"):
        load_settings(None, {variable: "1"}, {})


def test_name_with_underscores_is_found_in_the_environment():
    loaded = load_settings(None, {"CHAT_ACTORS_EXTENSIONS__PRIVATE_ROOMS__API_KEY": "x"}, {})
    variable = "CHAT_ACTORS_EXTENSIONS__PRIVATE_ROOMS__API_KEY"
    assert loaded.settings.extensions == {"private_rooms": {"api_key": WrittenText(variable, "x")}}


def test_rows_hide_secrets():
    rows = dict(settings_rows("dice", DiceSettings(api_tokens={"bot": "very secret"})))
    assert rows["extensions.dice.apiTokens"] == '{"bot":"..."}'
    assert rows["extensions.dice.maxRolls"] == "null"
    assert rows["extensions.dice.rooms"] == '["*"]'
