"""The browser client's files, as they are served."""

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
"""Written down, since what Python's `mimetypes` says depends on the machine's own tables."""

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
"""No script but our own files, and no way to make one of a text: the key in the browser is as safe as its page."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-cache",  # asked for each time, and answered with 304: a new server's page is a new page
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

CLIENT = "client/"
"""The JavaScript client. Pages of any origin may have it; whether they may open a socket is another question."""


class Page(msgspec.Struct, frozen=True):
    """One file: its bytes, what they are, and a name for this version of them."""

    body: bytes
    content_type: str
    etag: str


def load_pages() -> Mapping[str, Page]:
    """All files of the browser client, by their paths below its folder: about 70 kB."""
    return {
        path.relative_to(WEB).as_posix(): page_of(path.read_bytes(), _TYPES[path.suffix])
        for path in sorted(WEB.rglob("*"))
        if path.is_file() and path.suffix in _TYPES
    }


def page_of(body: bytes, content_type: str) -> Page:
    """These bytes, under a name of their own."""
    return Page(body, content_type, hashlib.sha256(body).hexdigest()[:32])
