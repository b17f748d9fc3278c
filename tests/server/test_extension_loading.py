"""Extensions are found by name, imported and configured, or refused with a helpful error."""

import importlib.metadata

import msgspec
import pytest

from chat_actors.chat import Extension, Service, command
from chat_actors.protocol import ExtensionCommand
from chat_actors.server import extension_loading
from chat_actors.server.extension_loading import SHIPPED, ExtensionError, combine, load_extensions
from chat_actors.server.settings_sources import SettingsError, load_settings

HERE = "tests.server.test_extension_loading"


class DiceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sides: int = 6


class Roll(ExtensionCommand, tag="roll"):
    pass


class AlsoRoll(ExtensionCommand, tag="roll"):
    pass


class Dice(Service):
    @command()
    def roll(self, caller, roll: Roll):
        pass


class Casino(Service):
    @command()
    def roll(self, caller, roll: AlsoRoll):
        pass


class Useless(Service):
    @command()
    def roll(self, roll: Roll):
        pass


dice = Extension(name="dice", services=[Dice], settings=DiceSettings)
casino = Extension(name="casino", services=[Casino])
useless = Extension(name="useless", services=[Useless])
polls = Extension(name="polls")
newer = Extension(name="newer", api=99)
no_extension = 5


def settings_of(loaded):
    return {one.enabled.extension.name: one.enabled.settings for one in loaded}


def test_named_extension_is_loaded_with_its_settings():
    (one,) = load_extensions([f"{HERE}:dice"], {"dice": {"sides": 20}})
    assert one.origin == f"{HERE}:dice"
    assert one.enabled.settings == DiceSettings(20)
    assert "roll" in combine([one]).vocabulary.names


def test_installed_extension_is_found_by_its_name(monkeypatch):
    point = importlib.metadata.EntryPoint("rolling", f"{HERE}:dice", extension_loading.GROUP)
    monkeypatch.setattr(extension_loading, "entry_points", lambda group: [point])
    assert settings_of(load_extensions(["rolling"], {})) == {"dice": DiceSettings()}
    with pytest.raises(ExtensionError, match=r"'chess' is not installed; write module:thing, .* that are: rolling"):
        load_extensions(["chess"], {})


def test_entry_point_cannot_shadow_another(monkeypatch):
    points = [
        importlib.metadata.EntryPoint("dice", f"{HERE}:{name}", extension_loading.GROUP) for name in ("dice", "casino")
    ]
    monkeypatch.setattr(extension_loading, "entry_points", lambda group: points)
    with pytest.raises(
        ExtensionError, match=f"'dice' is installed more than once; write one of {HERE}:casino, {HERE}:dice"
    ):
        load_extensions(["dice"], {})
    monkeypatch.setattr(extension_loading, "entry_points", lambda group: [points[0], points[0]])
    assert settings_of(load_extensions(["dice"], {})) == {"dice": DiceSettings()}


def test_names_of_the_shipped_extensions_are_reserved():
    shipped = importlib.metadata.entry_points(group=extension_loading.GROUP)
    assert {point.name for point in shipped if point.value.startswith(extension_loading.SHIPPED_IN)} == SHIPPED
    with pytest.raises(ExtensionError, match=r"'.*:polls' has the name of a shipped extension, polls"):
        load_extensions([f"{HERE}:polls"], {})


def test_extension_for_a_newer_server_is_refused():
    with pytest.raises(ExtensionError, match=r"^api of the extension 'newer': it needs version 99, .* install a newer"):
        load_extensions([f"{HERE}:newer"], {})


@pytest.mark.parametrize(
    ("specs", "sections", "problem"),
    [
        (["no_such_module:it"], {}, "'no_such_module:it' cannot be imported .* ModuleNotFoundError"),
        ([f"{HERE}:nothing"], {}, "cannot be imported .* has no attribute 'nothing'"),
        ([f"{HERE}:no_extension"], {}, "is no Extension: .* is a int"),
        ([f"{HERE}:dice"], {"dice": {"sides": "many"}}, r"settings \[extensions.dice\]: Expected `int`"),
        (
            [f"{HERE}:dice"],
            {"dice": {"side": 6}},
            r"extensions\.dice\.side: is not a setting, did you mean extensions\.dice\.sides\?",
        ),
        ([f"{HERE}:dice", f"{HERE}:dice"], {}, "has the name of the one from .*: dice"),
        ([], {"dice": {}}, "'dice' has settings but is not switched on"),
    ],
)
def test_unusable_extension_is_reported_with_reason(specs, sections, problem):
    with pytest.raises(ExtensionError, match=problem):
        load_extensions(specs, sections)


def test_two_claims_of_one_command_are_both_reported():
    claim = (
        r"^the command 'roll' is claimed by the extension 'dice' and by the extension 'casino' \(Roll and AlsoRoll\)"
    )
    with pytest.raises(ExtensionError, match=claim):
        combine(load_extensions([f"{HERE}:dice", f"{HERE}:casino"], {}))


def test_invalid_service_stops_the_start():
    with pytest.raises(ExtensionError, match=r"^Useless\.roll of the extension 'useless': it must take the caller"):
        combine(load_extensions([f"{HERE}:useless"], {}))


def test_settings_hold_extensions_and_their_sections(tmp_path):
    config = tmp_path / "chat.toml"
    config.write_text('[server]\nextensions = ["a:b"]\n[extensions.dice]\nsides = 4\n')
    settings = load_settings(config, {}, {}).settings
    assert settings.server.extensions == ("a:b",)
    assert settings.extensions == {"dice": {"sides": 4}}
    by_environment = load_settings(None, {"CHAT_ACTORS_SERVER__EXTENSIONS": "a:b, c"}, {}).settings
    assert by_environment.server.extensions == ("a:b", "c")


def test_setting_outside_a_section_is_refused(tmp_path):
    config = tmp_path / "chat.toml"
    config.write_text("[extensions]\nsides = 4\n")
    with pytest.raises(SettingsError, match=r"write \[extensions.NAME\] above them"):
        load_settings(config, {}, {})
