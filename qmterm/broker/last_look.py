"""The last look at an order, when it has had its turn and is about to leave: what came meanwhile keeps it back."""

from __future__ import annotations

from collections.abc import Callable

from qmterm.core.errors import Withheld
from qmterm.core.orders import OrderIntent
from qmterm.core.reasons import Reason

Rule = Callable[[OrderIntent], Reason | None]


def free(_intent: OrderIntent) -> Reason | None:
    """Before anybody has set a rule."""
    return None


def ask_once_more(intents: tuple[OrderIntent, ...], *rules: Rule) -> None:
    """Withheld with the first reason that a rule has against one of them: they leave together or not at all."""
    for intent in intents:
        for rule in rules:
            if (refusal := rule(intent)) is not None:
                what = f"order {intent.intent_id}" if len(intents) == 1 else f"bracket {intent.bracket_id}"
                raise Withheld(f"{what} was kept back at the last moment ({refusal.value})", refusal.value)
