"""The address of a client, also behind reverse proxies."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address


def client_address(peer: str | None, forwarded_for: Sequence[str], trusted_proxies: int) -> str:
    """The address of the client behind `trusted_proxies` proxies, each of which appends its own peer to the header.

    `forwarded_for`: the values of all `X-Forwarded-For` headers, in order. The entries are counted from the right: the
    nearest proxy has appended the last one, and entries that a client forges are further left. With too few entries, or
    one that is not an address, the result is the peer's own address. A peer without one (a Unix socket) is "local".
    """
    own = peer or "local"
    if trusted_proxies < 1:
        return own
    entries = [entry.strip() for value in forwarded_for for entry in value.split(",")]
    if len(entries) < trusted_proxies:
        return own
    return _address(entries[-trusted_proxies]) or own


def _address(entry: str) -> str | None:
    """The canonical form of the address in an entry, which may have a port or brackets."""
    if entry.startswith("["):
        entry = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        entry = entry.partition(":")[0]
    try:
        return str(ip_address(entry))
    except ValueError:
        return None
