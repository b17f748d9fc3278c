"""Text of other people, made fit to be shown in a terminal."""

from __future__ import annotations

import re

_ACTING = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal would obey instead of show, what turns the direction of a line, and what is no text in UTF-8."""


def harmless(text: str) -> str:
    """The text on one line, without what could move the cursor, retitle the window, or turn what follows around."""
    return _ACTING.sub("\N{REPLACEMENT CHARACTER}", text)
