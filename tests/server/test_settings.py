import pytest

from chat_actors.server.settings import SECTIONS, Settings
from chat_actors.server.settings_sources import SettingsError, describe, load_settings


def test_defaults_apply_without_sources():
    loaded = load_settings(None, {}, {})
    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {"default"}


def test_flags_override_environment_overrides_file(tmp_path):
    config = tmp_path / "chat.toml"
    config.write_text('[server]\nbind = "127.0.0.1:1"\n[limits]\nconnections = 1\nregistrations = 1\n')
    environ = {"CHAT_ACTORS_SERVER__BIND": "127.0.0.1:2", "CHAT_ACTORS_LIMITS__CONNECTIONS": "2", "HOME": "/"}
    loaded = load_settings(config, environ, {"server.bind": "127.0.0.1:3", "data.dir": None})
    assert loaded.settings.server.bind == "127.0.0.1:3"
    assert (loaded.settings.limits.connections, loaded.settings.limits.registrations) == (2, 1)
    assert loaded.origins["server.bind"] == "--bind"
    assert loaded.origins["limits.connections"] == "CHAT_ACTORS_LIMITS__CONNECTIONS"
    assert loaded.origins["limits.registrations"] == str(config)


def test_environment_may_name_the_file(tmp_path):
    config = tmp_path / "chat.toml"
    config.write_text("[limits]\nconnections = 7\n")
    assert load_settings(None, {"CHAT_ACTORS_CONFIG": str(config)}, {}).settings.limits.connections == 7


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({"CHAT_ACTORS_LIMITS__CONECTIONS": "1"}, "is not a setting, did you mean limits.connections?"),
        ({"CHAT_ACTORS_NONSENSE": "1"}, "is not a setting"),
        ({"CHAT_ACTORS_LIMITS__CONNECTIONS": "many"}, "must be a whole number, not 'many'"),
        ({"CHAT_ACTORS_LIMITS__CONNECTIONS": "-1"}, "must be 0 (no limit) or more"),
        ({"CHAT_ACTORS_LIMITS__FRAME_BYTES": "100"}, "must be 0 (no limit) or at least 12288"),
        ({"CHAT_ACTORS_LIMITS__BACKLOG_BYTES": "100000"}, "must be 0 (no limit) or at least 131072"),
        ({"CHAT_ACTORS_LIMITS__CHALLENGE_SECONDS": "nan"}, "must be"),
        ({"CHAT_ACTORS_SERVER__BIND": "nowhere"}, "must be host:port"),
        ({"CHAT_ACTORS_SERVER__CERTFILE": "/no/such/file"}, "must name a file that exists"),
        ({"CHAT_ACTORS_SERVER__WORKERS": "2"}, "not available in this version"),
        ({"CHAT_ACTORS_SERVER__ALLOWED_ORIGINS": "a.example"}, "must be origins, each with its scheme"),
        ({"CHAT_ACTORS_DATA__DURABILITY": "tape"}, "must be one of"),
        ({"CHAT_ACTORS_DATA__KEEP_MESSAGES": "-1"}, "must be 0 (all) or more"),
        ({"CHAT_ACTORS_DATA__KEEP_DAYS": "inf"}, "must be 0 (forever) or more"),
        ({"CHAT_ACTORS_DATA__JOURNAL": "paper"}, "must be one of"),
        ({"CHAT_ACTORS_DATA__NATS": "nats://x"}, "not available in this version"),
    ],
)
def test_bad_value_error_names_source_and_key(environ, text):
    with pytest.raises(SettingsError) as caught:
        load_settings(None, environ, {})
    line = str(caught.value)
    assert text in line
    assert next(iter(environ)) in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("[limits", "is not valid TOML"),
        ("bind = 1", "is no section"),
        ("[server]\nbind = 1", "must be a text, not 1"),
        ("[limits]\nconnections = '1'", "must be a whole number"),
        ("[other]\nkey = 1", "is not a setting"),
    ],
)
def test_invalid_file_is_refused(tmp_path, content, text):
    config = tmp_path / "chat.toml"
    config.write_text(content)
    with pytest.raises(SettingsError) as caught:
        load_settings(config, {}, {})
    assert text in str(caught.value)
    assert str(config) in str(caught.value)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / "none.toml", {}, {})


def test_certificate_without_key_is_refused(tmp_path):
    cert = tmp_path / "cert.pem"
    cert.write_text("")
    with pytest.raises(SettingsError, match="go together"):
        load_settings(None, {}, {"server.certfile": str(cert)})


def test_backlog_below_two_messages_is_refused():
    with pytest.raises(SettingsError, match="at least twice"):
        load_settings(None, {"CHAT_ACTORS_LIMITS__FRAME_BYTES": "600000"}, {})
    load_settings(None, {"CHAT_ACTORS_LIMITS__FRAME_BYTES": "600000", "CHAT_ACTORS_LIMITS__BACKLOG_BYTES": "0"}, {})


def test_description_shows_each_key_value_and_origin():
    lines = describe(load_settings(None, {"CHAT_ACTORS_LIMITS__CONNECTIONS": "9"}, {})).splitlines()
    assert len(lines) == sum(len(struct.__struct_fields__) for struct in SECTIONS.values())
    row = next(line for line in lines if line.startswith("limits.connections "))
    assert row.split() == ["limits.connections", "9", "CHAT_ACTORS_LIMITS__CONNECTIONS"]
