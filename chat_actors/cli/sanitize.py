"""Make text of other users safe to print on a terminal."""

from __future__ import annotations

import re

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line separators, bidirectional controls, and surrogates, which UTF-8 cannot encode."""


def sanitize(text: str) -> str:
    """Return the text on one line, with every unsafe character replaced by U+FFFD.

    The text then cannot move the cursor, set the window title, or reverse the direction of what follows.
    """
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)
