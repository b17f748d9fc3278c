"""Authentication: challenges, keys, signatures and rate limits. Pure: callers pass in time and randomness."""

from chat_actors.identity.challenges import CHALLENGE_BYTES, Challenge, issue_challenge
from chat_actors.identity.keys import KeyRefused, PublicKey, load_public_key, parse_public_key
from chat_actors.identity.rate_limits import AttemptLimit, TokenBucket, network_of
from chat_actors.identity.signatures import SignatureUndecodable, sign, verify

__all__ = [
    "CHALLENGE_BYTES",
    "AttemptLimit",
    "Challenge",
    "KeyRefused",
    "PublicKey",
    "SignatureUndecodable",
    "TokenBucket",
    "issue_challenge",
    "load_public_key",
    "network_of",
    "parse_public_key",
    "sign",
    "verify",
]
