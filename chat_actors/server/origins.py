"""Which web pages may open a socket here (cross-site WebSocket hijacking). Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

_DEFAULT_PORT = {"http": "80", "https": "443"}
_ORIGIN = re.compile(r"(https?)://([^/?#@\s]+)", re.ASCII)


def is_origin(text: str) -> bool:
    """Whether it is written as a browser writes an origin (RFC 6454, section 6.2), of a page from the web."""
    return _ORIGIN.fullmatch(text) is not None


def may_open(origins: Sequence[str], host: str | None, allowed: Collection[str], *, is_secure: bool) -> bool:
    """Whether a socket may be opened by whoever sends these `Origin` headers to this `Host`.

    Without the header it is no browser, and passes. A page passes if it is from the server's own host and port, or from
    an origin among the `allowed`. Its scheme must be https where the server itself `is_secure`; where it is not, either
    will do: a proxy in front of it may have ended the TLS.
    """
    if not origins:
        return True
    if len(origins) > 1:
        return False
    origin = origins[0].lower()
    if origin in {one.lower() for one in allowed}:
        return True
    match = _ORIGIN.fullmatch(origin)
    if match is None or host is None or (is_secure and match[1] != "https"):
        return False
    return _with_port(match[2], match[1]) == _with_port(host.lower(), match[1])


def _with_port(authority: str, scheme: str) -> str:
    """The authority with its port, which browsers leave out where it is the scheme's own."""
    name, colon, port = authority.rpartition(":")
    return authority if colon and name and port.isdecimal() else f"{authority}:{_DEFAULT_PORT[scheme]}"
