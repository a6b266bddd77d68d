"""What the data plan lacks and how much of its calls is left, in a trader's words.

The trap: a refusal names one channel of hundreds (Q.AAPL, Q.MSFT); what is missing is live quotes.
"""

from __future__ import annotations

from collections.abc import Iterable

from qmterm.engine.view import HeaderView

_CHANNELS = {
    "T": "live trades",
    "Q": "live quotes",
    "A": "second bars",
    "AM": "live minute bars",
    "LULD": "halts and bands",
}
UNNAMED = "some live channels"


def lacking(refused: Iterable[str]) -> tuple[str, ...]:
    """From refused channels and families of REST calls to what is missing, each once, in order of name."""
    return tuple(sorted({_named(one) for one in refused}))


def _named(refused: str) -> str:
    kind, dot, symbol = refused.partition(".")
    if not dot:
        return UNNAMED if refused.startswith("(") else refused
    word = _CHANNELS.get(kind, UNNAMED)
    return f"{word} of options" if symbol.startswith("O:") else word


def plan_words(header: HeaderView) -> str:
    """For the one line of `ctl status`: the calls of this minute, how long the next one waits, what is missing."""
    words = ""
    if header.calls_per_minute is not None:
        words = f"calls {header.calls_made}/{header.calls_per_minute} a minute "
    if header.calls_wait_s >= 1:
        words += f"(the next of the scan in {header.calls_wait_s:.0f} s) "
    if header.not_in_plan:
        words += f"(not in plan: {', '.join(header.not_in_plan)}) "
    return words
