import base64
import os

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from chat_actors.identity import (
    Challenge,
    KeyRefused,
    SignatureUndecodable,
    issue_challenge,
    load_public_key,
    parse_public_key,
    sign,
    verify,
)
from chat_actors.protocol import refusals

CHALLENGE = Challenge(bytes(range(32)), 100.0)


@pytest.fixture(scope="module")
def private():
    return generate_private_key(65537, 2048)


def pem_of(public, form=PublicFormat.SubjectPublicKeyInfo):
    return public.public_bytes(Encoding.PEM, form).decode()


def test_challenge_is_32_random_bytes():
    challenge = issue_challenge(os.urandom, 5.0)
    assert len(base64.b64decode(challenge.text)) == 32
    assert challenge != issue_challenge(os.urandom, 5.0)


def test_challenge_expires_after_its_lifetime():
    assert not CHALLENGE.is_expired(400.0, 300.0)
    assert CHALLENGE.is_expired(400.1, 300.0)
    assert not CHALLENGE.is_expired(1e9, 0)


def test_both_pem_forms_give_the_same_key(private):
    forms = [pem_of(private.public_key(), form) for form in (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1)]
    spki = {parse_public_key(pem).spki for pem in forms} | {parse_public_key(f"\n {forms[0]}\r\n").spki}
    assert len(spki) == 1
    assert load_public_key(spki.pop()).bits == 2048


def refused(pem):
    with pytest.raises(KeyRefused) as caught:
        parse_public_key(pem)
    return caught.value.refusal


def test_text_that_is_not_one_public_key_is_refused(private):
    pem = pem_of(private.public_key())
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    for text in ("", "junk", pem + pem, "junk\n" + pem, pem + "junk", secret, pem[:-40], pem + "\n" * 9000):
        assert refused(text) == refusals.INVALID_PUBLIC_KEY


def test_keys_other_than_rsa_are_refused():
    assert refused(pem_of(Ed25519PrivateKey.generate().public_key())) == refusals.INVALID_PUBLIC_KEY


def test_short_keys_are_refused_as_short():
    assert refused(pem_of(generate_private_key(65537, 1024).public_key())) == refusals.KEY_TOO_SHORT


@pytest.mark.parametrize(("bits", "exponent"), [(8200, 65537), (2048, 3), (2048, 2**32 + 1)])
def test_slow_or_weak_keys_are_refused(bits, exponent):
    public = RSAPublicNumbers(exponent, (1 << bits) - 159).public_key()
    assert refused(pem_of(public)) == refusals.INVALID_PUBLIC_KEY


@pytest.mark.parametrize(("bits", "exponent"), [(8193, 65537), (2048, 65535), (2048, 2**32 + 1)])
def test_keys_just_beyond_the_bounds_are_refused(bits, exponent):
    public = RSAPublicNumbers(exponent, (1 << bits) - 159).public_key()
    assert refused(pem_of(public)) == refusals.INVALID_PUBLIC_KEY


@pytest.mark.parametrize("exponent", [65537, 2**32 - 1])
def test_keys_at_the_bounds_are_accepted(exponent):
    key = parse_public_key(pem_of(RSAPublicNumbers(exponent, (1 << 2048) - 159).public_key()))
    assert (key.bits, key.rsa.public_numbers().e) == (2048, exponent)


def test_key_of_2047_bits_is_too_short():
    assert refused(pem_of(RSAPublicNumbers(65537, (1 << 2047) - 159).public_key())) == refusals.KEY_TOO_SHORT


def test_pem_text_has_at_most_8192_characters(private):
    pem = pem_of(private.public_key())
    assert parse_public_key(pem + " " * (8192 - len(pem))).bits == 2048
    assert refused(pem + " " * (8193 - len(pem))) == refusals.INVALID_PUBLIC_KEY


def test_stored_key_must_be_rsa():
    stored = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(ValueError, match="damaged"):
        load_public_key(stored)


def test_key_of_8192_bits_is_accepted():
    public = RSAPublicNumbers(65537, (1 << 8192) - 159).public_key()
    assert parse_public_key(pem_of(public)).bits == 8192


def test_signature_of_the_client_is_accepted(private):
    key = parse_public_key(pem_of(private.public_key()))
    assert verify(key, CHALLENGE, sign(private, CHALLENGE.text))


def test_signature_of_other_data_is_wrong(private):
    key = parse_public_key(pem_of(private.public_key()))
    other = Challenge(bytes(32), 0.0)
    assert not verify(key, other, sign(private, CHALLENGE.text))
    weak = private.sign(CHALLENGE.value, padding.PKCS1v15(), SHA1())
    assert not verify(key, CHALLENGE, base64.b64encode(weak).decode())
    assert not verify(key, CHALLENGE, base64.b64encode(b"x" * 256).decode())
    assert not verify(key, CHALLENGE, base64.b64encode(b"x" * 10).decode())


def test_base64_alphabets_with_and_without_padding(private):
    key = parse_public_key(pem_of(private.public_key()))
    raw = private.sign(CHALLENGE.value, padding.PKCS1v15(), SHA256())
    for encoded in (base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
        text = encoded.decode()
        assert verify(key, CHALLENGE, text)
        assert verify(key, CHALLENGE, text.rstrip("="))


@pytest.mark.parametrize(
    "text", ["", "=", "a", "!!!!", "AAAA\n", "AA=A", "AAAA====", "AA===", "é" * 8, "A" * 1372, "A" * 5000]
)
def test_text_that_is_no_base64_is_an_error(private, text):
    with pytest.raises(SignatureUndecodable):
        verify(parse_public_key(pem_of(private.public_key())), CHALLENGE, text)


def test_longest_base64_text_is_a_wrong_signature(private):
    """It has the length of a signature by a key of 8192 bits."""
    assert not verify(parse_public_key(pem_of(private.public_key())), CHALLENGE, "A" * 1368)
