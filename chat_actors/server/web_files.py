"""The files of the browser client, and the headers that they are served with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

WEB = Path(__file__).parent.parent / "web"

START = "index.html"

_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Fixed here, since Python's `mimetypes` depends on the tables of the machine."""

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""Allows scripts only from our own files, and none made from text: a script could use the key in the browser."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-cache",  # revalidated each time (304), so that pages change with the server's version
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

CLIENT = "client/"
"""The JavaScript client. Pages of any origin may load it; `may_open` decides whether they may open a WebSocket."""


class WebFile(msgspec.Struct, frozen=True):
    """One file to serve. Its `etag` is a hash of its content."""

    body: bytes
    content_type: str
    etag: str


def load_web_files() -> Mapping[str, WebFile]:
    """Return all files of the browser client, about 70 kB, by their paths below its folder."""
    return {
        path.relative_to(WEB).as_posix(): web_file(path.read_bytes(), _TYPES[path.suffix])
        for path in sorted(WEB.rglob("*"))
        if path.is_file() and path.suffix in _TYPES
    }


def web_file(body: bytes, content_type: str) -> WebFile:
    """Return a file to serve, with the hash of its content as `etag`."""
    return WebFile(body, content_type, hashlib.sha256(body).hexdigest()[:32])
