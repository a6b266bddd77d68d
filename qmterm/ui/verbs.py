"""The `:` line (`:nvda chain`, `:NVDA OMON`, `:orders cancel a320`): text in, a request or a mistake out.

A word that is no verb is an error under that word, never taken for a symbol unless the market knows it: a mistyped
`:puase` must not quietly open a chain.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from qmterm.ui.action import Action

_SYMBOL = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,5}")
# Verbs whose symbol filters what is there: it has to be there. (`:chain X` may ask for any symbol.)
FILTERED_BY_SYMBOL = frozenset({"scan", "pos", "orders"})
# How many words an argument may have, where that is not one.
MOST_WORDS = {"text": 20, "column": 2, "position": 4, "ticket": 60, "roll": 20, "edit": 2}
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Request:
    action: Action
    args: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """`column` is where the offending word starts, to point at it."""

    column: int
    text: str


def parse(
    typed: str, verbs: Mapping[str, Action], aliases: Mapping[str, str], symbols: Collection[str]
) -> Request | Mistake | None:
    """None for an empty line."""
    words = [(match.start(), match.group()) for match in _WORD.finditer(typed)]
    if not words:
        return None
    names = [_verb_word(word, aliases) for _, word in words]
    for length in (2, 1):
        action = verbs.get(" ".join(names[:length])) if len(names) >= length else None
        if action is not None:
            return _checked(action, words[length:], verbs, symbols)
    first_column, first = words[0]
    if len(words) > 1 and _SYMBOL.fullmatch(first):
        action = verbs.get(names[1])
        if action is not None and action.takes == "symbol":
            return _checked(action, [words[0], *words[2:]], verbs, symbols)
        if first.upper() in symbols:
            return Mistake(words[1][0], _unknown(words[1][1], verbs))
    if len(words) == 1 and first.upper() in symbols:
        return Request(verbs["chain"], (first.upper(),))
    return Mistake(first_column, _unknown(first, verbs))


def _verb_word(word: str, aliases: Mapping[str, str]) -> str:
    """An upper-case code stands for its verb; everything else is read without regard to case."""
    return aliases[word] if word in aliases else word.lower()


def _checked(
    action: Action, rest: Sequence[tuple[int, str]], verbs: Mapping[str, Action], symbols: Collection[str]
) -> Request | Mistake:
    """A verb with what stands after it; too many words, or a word that cannot be meant, is a mistake."""
    if rest and not action.takes:
        return Mistake(rest[0][0], f"{action.verb} takes nothing after it")
    most = MOST_WORDS.get(action.takes, 1)
    if rest and action.takes == "symbol" and action.verb in FILTERED_BY_SYMBOL and rest[0][1].upper() not in symbols:
        more = [verb.split()[1] for verb in verbs if verb.startswith(f"{action.verb} ")]
        hint = f" ({action.verb} takes a symbol{''.join(f' or {word}' for word in more)})"
        return Mistake(rest[0][0], f"no {rest[0][1]!r} here{hint}")
    if rest and action.verb == "chain" and not _SYMBOL.fullmatch(rest[0][1]):
        return Mistake(rest[0][0], f"{rest[0][1]!r} is not a symbol")
    if len(rest) > most:
        return Mistake(rest[most][0], f"{action.verb} takes {'one word' if most == 1 else f'{most} words'} after it")
    return Request(action, tuple(word for _, word in rest))


def _unknown(word: str, verbs: Mapping[str, Action]) -> str:
    near = get_close_matches(word.lower(), verbs, 1, 0.6)
    return f"no verb {word!r}" + (f", did you mean {near[0]!r}?" if near else "; tab lists them")


def completions(
    typed: str, verbs: Mapping[str, Action], words_for: Mapping[str, Sequence[str]], limit: int = 12
) -> list[str]:
    """Candidates for the last word of what is typed so far, the shortest first."""
    before, _, last = typed.rpartition(" ")
    head = before.lower().split()
    wanted = last.lower()
    if not head:
        pool = [*dict.fromkeys(verb.split()[0] for verb in verbs), *words_for.get("symbol", ())]
    else:
        pool = [verb.split()[1] for verb in verbs if " " in verb and verb.split()[0] == head[0] and len(head) == 1]
        action = verbs.get(" ".join(head)) or verbs.get(head[0])
        if action is not None:
            pool += words_for.get(action.takes, ())
        else:
            pool += [verb for verb, candidate in verbs.items() if candidate.takes == "symbol"]
    found = [word for word in pool if word.lower().startswith(wanted)]
    return sorted(dict.fromkeys(found), key=lambda word: (len(word), word))[:limit] if wanted else found[:limit]
