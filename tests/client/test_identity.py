"""Keys in files: made on first use, encrypted or not, and clear about what is wrong."""

import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from chat_actors.client import Identity, KeyFileError, PassphraseNeeded, generate_key, key_file, public_pem, save_key


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_users_key_is_made_on_first_use_and_found_again(home):
    first = Identity.load_or_create("alice")
    path = home / ".chat-actors" / "keys" / "alice.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Identity.load("alice")
    assert (again.user_id, public_pem(again.key)) == ("alice", public_pem(first.key))


def test_an_encrypted_key_opens_with_its_passphrase_alone(tmp_path):
    path = tmp_path / "alice.pem"
    made = Identity.load_or_create("alice", path, passphrase="cörrect horse")
    assert b"ENCRYPTED" in path.read_bytes()
    assert public_pem(Identity.load("alice", path, passphrase="cörrect horse").key) == public_pem(made.key)
    with pytest.raises(PassphraseNeeded, match="is encrypted; give its passphrase"):
        Identity.load("alice", path)
    with pytest.raises(KeyFileError, match="or that is not its passphrase"):
        Identity.load("alice", path, passphrase="wrong")


def test_a_passphrase_for_a_key_without_one_is_said(tmp_path):
    save_key(generate_key(2048), tmp_path / "plain.pem")
    with pytest.raises(KeyFileError, match="is not encrypted; leave the passphrase out"):
        Identity.load("alice", tmp_path / "plain.pem", passphrase="any")


def test_what_is_no_key_is_one_clear_line(tmp_path):
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
def test_a_name_that_is_none_leads_to_no_file(name):
    for make in (key_file, Identity.load, Identity.load_or_create, lambda name: Identity(name, None)):
        with pytest.raises(ValueError, match="is no user id"):
            make(name)
