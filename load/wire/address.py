"""The server's address."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


class BadAddress(Exception):
    """The text is not a server address."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return f"{self.text!r} is not a server address; write it like http://127.0.0.1:8080 or https://chat.example.org"


@dataclass(frozen=True)
class Address:
    """Host, port, and the TLS context if the server uses TLS."""

    host: str
    port: int
    tls: ssl.SSLContext | None

    @classmethod
    def of(cls, text: str, ca: str = "") -> Address:
        """Parse an `http(s)://` or `ws(s)://` URL.

        `ca` is a PEM file with the authority of the server's certificate; if empty, the system's authorities apply.
        Raises `BadAddress`, and `OSError` if the file cannot be read.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise BadAddress(text) from None
        if parts.scheme not in _PORTS or not parts.hostname:
            raise BadAddress(text)
        tls = ssl.create_default_context(cafile=ca or None) if parts.scheme in ("https", "wss") else None
        return cls(parts.hostname, port or _PORTS[parts.scheme], tls)

    @property
    def authority(self) -> str:
        """Host and port of the URL, `host:port` (RFC 3986, section 3.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether the host name is one of this machine's loopback names."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")
