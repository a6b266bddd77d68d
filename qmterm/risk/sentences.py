"""What a refusal says to a person: one sentence a reason code, with the numbers that decided in it."""

from __future__ import annotations

from collections.abc import Mapping

from qmterm.core.reasons import Reason

Numbers = Mapping[str, float | None]
NET_PRICES = ("limit", "natural", "theory")  # signed, what is paid negative: no order line says it that way

_OF_THE_GATE: Mapping[Reason, str] = {
    Reason.LADDER_NO_NEW: "the ladder stands at NO-NEW: nothing is opened",
    Reason.LADDER_REDUCE_ONLY: "the ladder stands at REDUCE-ONLY: nothing is opened",
    Reason.LADDER_FLATTEN: "the ladder stands at FLATTEN: nothing is opened",
    Reason.LADDER_HALT: "the ladder stands at HALT: only a person may close",
    Reason.NOT_LIVE: "real money needs live = true",
    Reason.NOT_ARMED: "real money needs arming first",
    Reason.STOPPING: "the engine is stopping: nothing more is sent",
    Reason.MARKET_CLOSED: "the market is closed",
    Reason.PROPOSAL_EXPIRED: "the plan is too old to be opened",
    Reason.SYMBOL_FROZEN: "an order or a difference in this stock is not settled yet: nothing is added to it",
    Reason.ALREADY_HELD: "this strategy holds the stock already",
    Reason.ALREADY_WORKING: "an entry of this strategy in the stock is still working",
    Reason.BAD_INPUT: "the order makes no sense as it stands",
    Reason.UNKNOWN_SYMBOL: "a leg names no contract or stock of this underlying",
    Reason.TOO_MANY_LEGS: "{legs} legs: an order takes {most_legs} at most",
    Reason.ADJUSTED: "an adjusted contract delivers something else than 100 shares: it is not traded",
    Reason.EXPIRED: "a leg's contract has expired",
    Reason.EXPIRY_CUTOFF: "a leg stops trading in {minutes_left} minutes: nothing is opened in the last {cutoff_min}",
    Reason.UNDEFINED_RISK: "its loss would have no bound",
    Reason.EARNINGS: "earnings are {earnings_in_days} days away: nothing is opened within {earnings_days}",
    Reason.EX_DIVIDEND: "a call sold here may be assigned for the dividend of {dividend} in {ex_in_days} days: "
    "its time value is {time_value}",
    Reason.NO_QUOTE: "a leg has no two-sided quote",
    Reason.STALE_QUOTE: "a leg's quote is too old: {quote_age_s} s, at most {quote_max_age_s}",
    Reason.PRICE_INSANE: "the limit {limit} lies beyond the market ({natural}) or what the order can ever be worth",
    Reason.OFF_TICK: "the limit {limit} is not on the tick grid",
    Reason.OFF_THEORY: "the limit {limit} is far from what the order is worth ({theory})",
    Reason.ORDER_RULES: "no broker takes such an order",
    Reason.EMPTY_BOOK: "nobody quotes the side that a market order would take",
    Reason.TRIGGER_INSANE: "the stop trigger {trigger} is far from the market ({natural}) or would be hit at once",
    Reason.DUPLICATE_INTENT: "the same order was made within the last {duplicate_s} seconds",
    Reason.ORDER_RATE: "{orders_last_minute} opening orders in the last minute: {most_orders} at most",
    Reason.NO_NLV: "the account's value is not known",
    Reason.DAILY_LOSS: "the day's loss {day_pnl} reached the limit: nothing is opened until the next session",
    Reason.WEEKLY_LOSS: "the week's loss {week_pnl} reached the limit: nothing is opened until you resume",
    Reason.DRAWDOWN: "the account is {drawdown} below its peak: nothing is opened until you resume",
    Reason.ACCOUNT_RESTRICTED: "the broker does not let this account open it",
    Reason.DAY_TRADES: "{day_trades} day trades used of {day_trades_most}: nothing is opened",
    Reason.LIMIT_TRADE: "one unit may lose {max_loss}: more than a trade may",
    Reason.LIMIT_SYMBOL: "with {symbol_risk} at risk in the stock already there is no room for {max_loss}",
    Reason.LIMIT_STRATEGY: "with {strategy_risk} at risk in the strategy already there is no room for {max_loss}",
    Reason.LIMIT_CASH: "cash of {cash} less the reserve does not pay for {buying_power}",
    Reason.LIMIT_BUYING_POWER: "the buying power of {option_buying_power} does not carry {buying_power}",
    Reason.LIMIT_CONTRACTS: "the most contracts of one order are reached",
    Reason.LIMIT_NOTIONAL: "one unit stands for {notional} of stock: more than an order may",
    Reason.LIMIT_SETTLED_CASH: "settled cash of {settled_cash} does not pay for {buying_power}",
    Reason.NOTHING_TO_CLOSE: "nothing is left to close: {closable} closable",
    Reason.SHORTS_FIRST: "it covers what is still sold: that is closed first",
    Reason.WOULD_OPEN: "a closing order would open or turn a position: {closable} closable",
}


# Refusals whose note is the whole sentence: what is in the way is another thing than the code's own sentence says.
_TOLD_BY_NOTE = frozenset({Reason.ALREADY_HELD, Reason.ALREADY_WORKING})


def sentence(reason: Reason, numbers: Numbers, note: str = "") -> str:
    """`reason` in words; codes of other rooms are given as they are. `note` is what the broker or a check adds."""
    if note and reason in _TOLD_BY_NOTE:
        return note
    template = _OF_THE_GATE.get(reason, reason.value)
    text = template.format_map(_Shown(numbers))
    return f"{text} ({note})" if note else text


class _Shown(dict[str, str]):
    """Numbers as a person reads them; one that is not known is a dash."""

    def __init__(self, numbers: Numbers) -> None:
        super().__init__({name: _text(name, value) for name, value in numbers.items()})

    def __missing__(self, name: str) -> str:
        return "–"


def _text(name: str, value: float | None) -> str:
    if value is not None and name in NET_PRICES:
        return f"{abs(value):,.2f} {'cr' if value > 0 else 'db'}"
    return "–" if value is None else f"{value:,.2f}".removesuffix(".00")
