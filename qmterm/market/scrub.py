"""The words of the vendor's servers before they become an error, a note or a log line.

The trap: a server may repeat the key in a spelling of its own, percent-encoded or as JSON writes it, and a text that
was shortened first may keep half of it. So words are scrubbed where they come in, before anything else is done to them.
"""

from __future__ import annotations

import re
from urllib.parse import quote

import msgspec


class Scrub:
    """Takes out the key, and whatever would steer a terminal."""

    def __init__(self, key: str) -> None:
        as_json = msgspec.json.encode(key).decode()[1:-1]
        slashes = (as_json.replace("/", r"\/"), as_json.replace("/", r"\u002f"))  # both are good JSON
        spellings = {key, quote(key), quote(key, safe=""), as_json, *slashes} - {""}
        longest_first = sorted(spellings, key=len, reverse=True)
        # Either case: %2f is %2F.
        self._key = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if key else None

    def finds(self, text: str) -> bool:
        """Whether the key is in it."""
        return self._key is not None and self._key.search(text) is not None

    def __call__(self, text: str) -> str:
        if self._key is not None:
            text = self._key.sub("***", text)
        return "".join(char if char.isprintable() else " " for char in text)
