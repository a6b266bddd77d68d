"""What happens to the paper account by itself, day by day in order: splits, dividends, ends of options, assignments.

The trap: a program that was away catches up in the order of the days, each thing once: what was done is kept with the
account, saved together with what it changed, so that a kill in between does nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from qmterm.broker.paper_book import PaperBook
from qmterm.broker.paper_delivery import CENT, Scene, assign_early, settle_expired
from qmterm.broker.paper_statement import pay, swap
from qmterm.core.clock import et_date, from_et
from qmterm.core.corporate import CorporateFacts, DayActions
from qmterm.core.instruments import is_option, parse_option, underlying_of
from qmterm.core.orders import BrokerEvent, BrokerPosition, OrderState
from qmterm.core.quotes import mid_decimal

CATCH_UP_DAYS = 10  # of a stock of which nothing was known for longer, what is older is left out
COMPANY = "company "  # before the ticker, in the account's list of what was done until when


def by_itself(book: PaperBook, scene: Scene) -> list[BrokerEvent]:
    """Everything that is due at this moment, as the events that tell of it."""
    events: list[BrokerEvent] = []
    if scene.facts is not None:
        today = et_date(scene.now_ns)
        for day in _days_behind(book, scene, today):
            if day < today:  # what ended before a day is delivered before that day's dividend
                events += settle_expired(book, scene, from_et(day))
            events += _corporate_day(book, scene, scene.facts, day)
    events += settle_expired(book, scene)
    events += assign_early(book, scene)
    return events


def _tickers(book: PaperBook, scene: Scene) -> set[str]:
    return {scene.ticker(underlying_of(symbol)) for symbol in book.positions}


def _days_behind(book: PaperBook, scene: Scene, today: date) -> list[date]:
    keys = (COMPANY + ticker for ticker in _tickers(book, scene))
    done = [date.fromisoformat(book.done_until[key]) for key in keys if key in book.done_until]
    first = max(min(done, default=today), today - timedelta(days=CATCH_UP_DAYS))
    return [first + timedelta(days=number) for number in range(1, (today - first).days + 1)] or [today]


def _corporate_day(book: PaperBook, scene: Scene, facts: CorporateFacts, day: date) -> list[BrokerEvent]:
    """Splits and dividends of one day, for every stock held or behind a held option; what is not known yet waits.

    A stock that was not held before has nothing behind it: who buys on the ex-date gets no dividend.
    """
    events: list[BrokerEvent] = []
    held, today = _tickers(book, scene), et_date(scene.now_ns)
    for ticker in sorted(held):
        done = book.done_until.setdefault(COMPANY + ticker, today.isoformat())
        before = max(date.fromisoformat(done), today - timedelta(days=CATCH_UP_DAYS))
        if day != before + timedelta(days=1):
            continue  # done, or an earlier day of it waits
        actions = facts.actions(ticker, day, shares=ticker in book.positions)
        if actions is not None:
            book.done_until[COMPANY + ticker] = day.isoformat()
            events += _happen(book, scene, ticker, day, actions)
    for key in [key for key in book.done_until if key.startswith(COMPANY) and key.removeprefix(COMPANY) not in held]:
        del book.done_until[key]
    return events


def _happen(book: PaperBook, scene: Scene, ticker: str, day: date, actions: DayActions) -> list[BrokerEvent]:
    events: list[BrokerEvent] = []
    shares = book.positions.get(ticker)
    if actions.dividend and shares is not None:  # told per share as there were that morning, before a split
        pay(book, ticker, (shares.quantity * actions.dividend).quantize(CENT), "Dividend", scene.now_ns)
        events.append(shares)
    if actions.split is not None:
        events += _split(book, scene, ticker, day, *actions.split)
    return events


def _split(book: PaperBook, scene: Scene, ticker: str, day: date, new: int, old: int) -> list[BrokerEvent]:
    """Working orders of the name go, for their prices are of another share; positions change size, not value.

    What makes no whole share, or no standard contract, is paid out at its mark.
    """
    events: list[BrokerEvent] = []
    for order in book.working:
        if scene.ticker(underlying_of(order.intent.legs[0].symbol)) == ticker:
            why = f"{new}-for-{old} split of {ticker}"
            events.append(book.move(order, OrderState.CANCELLED, scene.now_ns, why).report)
    word = "Forward Split" if new > old else "Reverse Split"
    for symbol in sorted(symbol for symbol in book.positions if scene.ticker(underlying_of(symbol)) == ticker):
        held = book.positions[symbol]
        size, side = abs(held.quantity), 1 if held.quantity > 0 else -1
        name, (after, rest) = _renamed(symbol, new, old), divmod(size * new, old)
        if name is None:
            name, after, rest = symbol, 0, size * new
        fraction = side * _worth(scene, held, day, Decimal(new) / old) * rest / (size * new)
        swap(book, symbol, name, side * after, held.average_open_price * old / new, word, scene.now_ns)
        if rest:
            pay(book, symbol, fraction.quantize(CENT), "Cash in lieu", scene.now_ns)
        events += _after(book, (symbol, name), held.multiplier)
    return events


def _after(book: PaperBook, symbols: Iterable[str], multiplier: int) -> list[BrokerEvent]:
    gone = {symbol: BrokerPosition(symbol, 0, Decimal(0), multiplier) for symbol in symbols}
    return [book.positions.get(symbol, gone[symbol]) for symbol in gone]


def _renamed(symbol: str, new: int, old: int) -> str | None:
    """The symbol after a split; None where the contract would stand for other than 100 shares."""
    if not is_option(symbol):
        return symbol
    if new % old:
        return None
    contract = parse_option(symbol)
    return replace(contract, strike=(contract.strike * old / new).quantize(CENT)).occ


def _worth(scene: Scene, held: BrokerPosition, day: date, ratio: Decimal) -> Decimal:
    """Dollars the whole position is worth: by its last quote, without one by what it cost."""
    quote = scene.quotes.quote(held.symbol)
    mid = None if quote is None else mid_decimal(quote)
    price = held.average_open_price
    if quote is not None and mid is not None:
        price = mid * ratio if quote.time_ns >= from_et(day) else mid  # a quote of the day is of the new share
    return price * abs(held.quantity) * held.multiplier
