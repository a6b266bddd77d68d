"""What one stream connection may hear and asked for: channels parsed, allowed by plan, limited, answered one by one."""

from __future__ import annotations

from dataclasses import dataclass, field

from qmterm.sim.polygon.plan import Plan

OPTION_QUOTE_LIMIT = 1000
CLUSTERS = ("stocks", "options", "indices", "forex", "crypto")


@dataclass
class Subscriptions:
    """Symbols by event type; "*" means all (stocks only, and never option quotes)."""

    cluster: str
    plan: Plan
    offered: frozenset[str] | None = None  # event types that the market has at all; None = all
    symbols: dict[str, set[str]] = field(default_factory=dict)
    version: int = 0

    def of(self, kind: str) -> set[str]:
        return self.symbols.get(kind, set())

    def subscribe(self, channels: str) -> list[tuple[str, str]]:
        """The (status, message) answers; a channel that is already active is passed over in silence."""
        answers: list[tuple[str, str]] = []
        for channel in _split(channels):
            kind, _, symbol = channel.partition(".")
            if not symbol:
                answers.append(("error", f"{channel} is not a channel such as T.AAPL"))
            elif not self._allowed(kind):
                answers.append(("error", f"not authorized: {channel}"))
            elif self.cluster == "options" and kind == "Q" and symbol == "*":
                answers.append(("error", f"not authorized: {channel} (all option quotes are not offered)"))
            elif symbol in self.of(kind):
                continue
            elif self.cluster == "options" and kind == "Q" and len(self.of("Q")) >= OPTION_QUOTE_LIMIT:
                answers.append(("error", f"{channel}: at most {OPTION_QUOTE_LIMIT} option quote contracts"))
            else:
                self.symbols.setdefault(kind, set()).add(symbol)
                self.version += 1
                answers.append(("success", f"subscribed to: {channel}"))
        return answers

    def unsubscribe(self, channels: str) -> list[tuple[str, str]]:
        answers: list[tuple[str, str]] = []
        for channel in _split(channels):
            kind, _, symbol = channel.partition(".")
            self.of(kind).discard(symbol)
            self.version += 1
            answers.append(("success", f"unsubscribed to: {channel}"))
        return answers

    def _allowed(self, kind: str) -> bool:
        if kind not in self.plan.channels or (self.offered is not None and kind not in self.offered):
            return False
        return self.cluster == "stocks" or (self.cluster == "options" and self.plan.options)


def _split(channels: str) -> list[str]:
    return [channel.strip() for channel in channels.split(",") if channel.strip()]
