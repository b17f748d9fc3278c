"""Which web pages may open a socket here (cross-site WebSocket hijacking). Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Sequence

_DEFAULT_PORT = {"http": "80", "https": "443"}
_ORIGIN = re.compile(r"(https?)://([^/?#@\s\x80-\U0010ffff]+)", re.ASCII)


def is_origin(text: str) -> bool:
    """Whether it is written as a browser writes an origin of a page from the web (RFC 6454, section 6.2): in ASCII."""
    return _ORIGIN.fullmatch(text.lower()) is not None


def is_loopback(address: str) -> bool:
    """Whether an IP address is of this machine alone."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def may_open(
    origins: Sequence[str], host: str | None, allowed: Collection[str], *, is_secure: bool, is_local: bool
) -> bool:
    """Whether a socket may be opened by whoever sends these `Origin` headers to this `Host`.

    Without the header it is no browser, and passes. A page passes if it is from the server's own host and port, or from
    an origin among the `allowed`. Its scheme must be https where the server itself `is_secure`; where it is not, either
    will do: a proxy in front of it may have ended the TLS.

    If the connection `is_local`, to an address of this machine alone with no proxy before it, the host must be a name
    of this machine too. Any other is a stranger's, whose DNS leads here so that their page passes for one of ours
    (DNS rebinding).
    """
    if not origins:
        return True
    if len(origins) > 1:
        return False
    origin = _parsed(origins[0])
    if origin is None:
        return False
    if origin in map(_parsed, allowed):
        return True
    scheme, authority = origin
    if host is None or (is_secure and scheme != "https"):
        return False
    return authority == _with_port(host.lower(), scheme) and (not is_local or _is_local_name(authority))


def _parsed(origin: str) -> tuple[str, str] | None:
    """Its scheme, and its authority with the port."""
    match = _ORIGIN.fullmatch(origin.lower())
    return None if match is None else (match[1], _with_port(match[2], match[1]))


def _is_local_name(authority: str) -> bool:
    """RFC 6761, section 6.3: what ends in `localhost` is this machine."""
    name = authority.rpartition(":")[0].strip("[]").removesuffix(".")
    return name == "localhost" or name.endswith(".localhost") or is_loopback(name)


def _with_port(authority: str, scheme: str) -> str:
    """The authority with its port, which browsers leave out where it is the scheme's own."""
    name, colon, port = authority.rpartition(":")
    return authority if colon and name and port.isdecimal() else f"{authority}:{_DEFAULT_PORT[scheme]}"
