"""Key files: generated on first use, encrypted or not, with clear errors."""

import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from chat_actors.client import Identity, KeyFileError, PassphraseNeeded, generate_key, key_file, public_pem, save_key


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_key_is_generated_once_and_loaded_again(home):
    first = Identity.load_or_create("alice")
    path = home / ".chat-actors" / "keys" / "alice.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Identity.load("alice")
    assert (again.user_id, public_pem(again.key)) == ("alice", public_pem(first.key))


def test_encrypted_key_needs_its_passphrase(tmp_path):
    path = tmp_path / "alice.pem"
    made = Identity.load_or_create("alice", path, passphrase="cörrect horse")
    assert b"ENCRYPTED" in path.read_bytes()
    assert public_pem(Identity.load("alice", path, passphrase="cörrect horse").key) == public_pem(made.key)
    with pytest.raises(PassphraseNeeded, match="is encrypted; give its passphrase"):
        Identity.load("alice", path)
    with pytest.raises(KeyFileError, match="or that is not its passphrase"):
        Identity.load("alice", path, passphrase="wrong")


def test_passphrase_for_plain_key_is_an_error(tmp_path):
    save_key(generate_key(2048), tmp_path / "plain.pem")
    with pytest.raises(KeyFileError, match="is not encrypted; leave the passphrase out"):
        Identity.load("alice", tmp_path / "plain.pem", passphrase="any")


def test_invalid_key_file_has_a_clear_error(tmp_path):
    for name, text, problem in (
        ("text.pem", b"hello", "is no private key in PEM"),
        ("ec.pem", elliptic(), "is no RSA key; make one with: chat-actors keygen FILE"),
    ):
        (tmp_path / name).write_bytes(text)
        with pytest.raises(KeyFileError) as caught:
            Identity.load("alice", tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {problem}"
    with pytest.raises(KeyFileError, match="cannot be read: No such file"):
        Identity.load("alice", tmp_path / "none.pem")


def elliptic():
    return generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("name", ["al", "../../etc/passwd", "a/b/c", "", "x" * 33])
def test_invalid_user_id_names_no_file(name):
    for make in (key_file, Identity.load, Identity.load_or_create, lambda name: Identity(name, None)):
        with pytest.raises(ValueError, match="is no user id"):
            make(name)
