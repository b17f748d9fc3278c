"""The web pages that may open a WebSocket here (against cross-site WebSocket hijacking). Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Sequence

_DEFAULT_PORT = {"http": "80", "https": "443"}
_ORIGIN = re.compile(r"(https?)://([^/?#@\s\x80-\U0010ffff]+)", re.ASCII)


def is_origin(text: str) -> bool:
    """Whether the text has the form in which browsers send an origin (RFC 6454, section 6.2): ASCII, no path."""
    return _ORIGIN.fullmatch(text.lower()) is not None


def is_loopback(address: str) -> bool:
    """Whether the text is a loopback IP address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def may_open(
    origins: Sequence[str], host: str | None, allowed: Collection[str], *, is_secure: bool, is_local: bool
) -> bool:
    """Whether a request with these `Origin` headers and this `Host` may open a WebSocket.

    A client without the header is not a browser, and may. A page may if its origin is the server's own host and port,
    or one of the `allowed`. If the server itself `is_secure`, its own pages must have the scheme https; otherwise both
    schemes pass, since a proxy may have terminated the TLS.

    If the connection `is_local`, that is, to a loopback address and without a proxy, the host must be a name of this
    machine. Any other name can be a foreign one that resolves to a loopback address, so that a foreign page has the
    same origin as ours (DNS rebinding).
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
    """The scheme of an origin, and its authority with the port."""
    match = _ORIGIN.fullmatch(origin.lower())
    return None if match is None else (match[1], _with_port(match[2], match[1]))


def _is_local_name(authority: str) -> bool:
    """Whether the authority names this machine: a loopback address, or below `localhost` (RFC 6761, section 6.3)."""
    name = authority.rpartition(":")[0].strip("[]").removesuffix(".")
    return name == "localhost" or name.endswith(".localhost") or is_loopback(name)


def _with_port(authority: str, scheme: str) -> str:
    """The authority with its port, which browsers omit if it is the scheme's default."""
    name, colon, port = authority.rpartition(":")
    return authority if colon and name and port.isdecimal() else f"{authority}:{_DEFAULT_PORT[scheme]}"
