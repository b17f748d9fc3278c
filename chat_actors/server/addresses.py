"""Where a client comes from."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address


def client_address(peer: str | None, forwarded_for: Sequence[str], trusted_proxies: int) -> str:
    """The address of the client behind `trusted_proxies` proxies, each of which has added its own peer to the header.

    `forwarded_for`: the values of all `X-Forwarded-For` headers, in order. Counted from the right: the last entry was
    written by the nearest proxy, and whatever a client invents stands further left. Too few entries, or one that is no
    address: the peer's own. A peer without an address (a Unix socket) is "local".
    """
    own = peer or "local"
    if trusted_proxies < 1:
        return own
    entries = [entry.strip() for value in forwarded_for for entry in value.split(",")]
    if len(entries) < trusted_proxies:
        return own
    return _address(entries[-trusted_proxies]) or own


def _address(entry: str) -> str | None:
    """The address in an entry that may have a port or brackets, in its canonical form."""
    if entry.startswith("["):
        entry = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        entry = entry.partition(":")[0]
    try:
        return str(ip_address(entry))
    except ValueError:
        return None
