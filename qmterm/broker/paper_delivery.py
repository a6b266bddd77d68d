"""Options of the paper account at their end: exercised and assigned into shares, paid out, or worthless.

The trap: all legs of one root and expiry end at the one price of their underlying, and not before it is known; two
prices for the two legs of a spread would invent money.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from qmterm.broker.paper_book import PaperBook, end_name
from qmterm.broker.paper_statement import cancel_uncovered, deliver, remove
from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import NS, et_date
from qmterm.core.corporate import CorporateFacts
from qmterm.core.expiry import expiry_instant
from qmterm.core.fees import delivery_fees
from qmterm.core.instruments import OptionContract, Right, is_option, parse_option
from qmterm.core.matching import luck
from qmterm.core.orders import BrokerEvent, BrokerPosition
from qmterm.core.protocols import QuoteSource
from qmterm.core.quotes import mid_decimal
from qmterm.core.settlement import terms_of

CENT = Decimal("0.01")
EXERCISED_FROM = CENT  # in the money by at least a cent: exercised without being asked
CLOSING_NS = 900 * NS  # the close is the last quote, and one of an earlier quarter of an hour is no close
EARLY_CHANCE = {"dividend": 0.9, "deep put": 0.5}  # of each contract and night, where its holder should exercise


@dataclass(frozen=True, slots=True)
class Scene:
    """The moment, and who knows what of it; `facts` is None where nobody knows of companies."""

    now_ns: int
    calendar: SessionCalendar
    quotes: QuoteSource
    facts: CorporateFacts | None = None
    early: bool = True

    def ticker(self, root: str) -> str:
        return root if self.facts is None else self.facts.ticker(root)


def settle_expired(book: PaperBook, scene: Scene, before_ns: int | None = None) -> list[BrokerEvent]:
    """Positions in options that expired (before an instant) end; one without a price of its underlying waits."""
    due_ns = scene.now_ns if before_ns is None else before_ns
    touched: dict[str, BrokerPosition] = {}
    for symbol in sorted(symbol for symbol in book.positions if is_option(symbol)):
        contract = parse_option(symbol)
        if due_ns < _end_ns(contract, scene.calendar):
            continue
        price = _settlement_price(book, contract, scene)
        if price is not None:
            _end(book, contract, price, scene, touched)
    return _told(book, touched, scene.now_ns)


def assign_early(book: PaperBook, scene: Scene) -> list[BrokerEvent]:
    """Once a night, after the close: sold stock options whose holders should exercise, by a seeded chance a contract.

    A night that this program slept through assigns nothing.
    """
    today = et_date(scene.now_ns)
    closed = scene.calendar.is_session(today) and scene.now_ns >= scene.calendar.close_ns(today)
    if not scene.early or scene.facts is None or not closed or book.done_until.get("early") == today.isoformat():
        return []
    book.done_until["early"] = today.isoformat()
    touched: dict[str, BrokerPosition] = {}
    for symbol, position in sorted(book.positions.items()):
        if position.quantity >= 0 or not is_option(symbol):
            continue
        contract = parse_option(symbol)
        if terms_of(contract.root).european or terms_of(contract.root).cash_settled:
            continue
        chance = EARLY_CHANCE.get(scene.facts.early_exercise(symbol), 0.0)
        hit = sum(luck(f"early/{symbol}/{today}/{number}") < chance for number in range(-position.quantity))
        if hit:
            _deliver(book, contract, hit, scene, touched)
    return _told(book, touched, scene.now_ns)


def intrinsic(contract: OptionContract, spot: Decimal) -> Decimal:
    """Dollars per share, to the cent."""
    return max(Decimal(0), contract.right.sign * (spot - contract.strike)).quantize(CENT)


def _end_ns(contract: OptionContract, calendar: SessionCalendar) -> int:
    return expiry_instant(calendar, contract.expiry, terms_of(contract.root).settlement)


def _settlement_price(book: PaperBook, contract: OptionContract, scene: Scene) -> Decimal | None:
    """The first that is known is kept for all legs: on the day itself the quote of the end, later that day's close."""
    name = end_name(contract)
    if name not in book.settlement_prices:
        price = _price_of_end(contract, scene)
        if price is None:
            return None
        book.settlement_prices[name] = price
    return book.settlement_prices[name]


def _price_of_end(contract: OptionContract, scene: Scene) -> Decimal | None:
    ticker, end_ns = scene.ticker(contract.root), _end_ns(contract, scene.calendar)
    if et_date(scene.now_ns) != et_date(end_ns):
        return None if scene.facts is None else scene.facts.close(ticker, _session(scene.calendar, contract.expiry))
    quote = scene.quotes.quote(ticker)
    if quote is None:
        return None
    # The opening price is not known before a quote of the opening; the close is the last quote that there was.
    since = end_ns if terms_of(contract.root).am_settled else end_ns - CLOSING_NS
    return mid_decimal(quote) if quote.time_ns >= since else None


def _session(calendar: SessionCalendar, expiry: date) -> date:
    return expiry if calendar.is_session(expiry) else calendar.previous(expiry)


def _end(
    book: PaperBook, contract: OptionContract, price: Decimal, scene: Scene, touched: dict[str, BrokerPosition]
) -> None:
    symbol = contract.occ
    held = book.positions[symbol].quantity
    if contract.right.sign * (price - contract.strike) < EXERCISED_FROM:
        touched[symbol] = remove(book, symbol, abs(held), "Expiration", scene.now_ns)
    elif terms_of(contract.root).cash_settled:
        word = "Cash Settled Exercise" if held > 0 else "Cash Settled Assignment"
        touched[symbol] = remove(book, symbol, abs(held), word, scene.now_ns, intrinsic(contract, price))
    else:
        _deliver(book, contract, abs(held), scene, touched)


def _deliver(
    book: PaperBook, contract: OptionContract, contracts: int, scene: Scene, touched: dict[str, BrokerPosition]
) -> None:
    """Contracts into shares at the strike: a long is exercised, a short is assigned."""
    symbol, now = contract.occ, scene.now_ns
    long = book.positions[symbol].quantity > 0
    touched[symbol] = remove(book, symbol, contracts, "Exercise" if long else "Assignment", now)
    buys = (contract.right is Right.CALL) == long
    shares = contracts * contract.multiplier
    ticker = scene.ticker(contract.root)
    fees = delivery_fees(ticker, buys, shares, contract.strike, et_date(now)).total
    touched[ticker], _ = deliver(book, ticker, shares if buys else -shares, contract.strike, fees, now)


def _told(book: PaperBook, touched: Mapping[str, BrokerPosition], now_ns: int) -> list[BrokerEvent]:
    return [*touched.values(), *cancel_uncovered(book, touched, now_ns)]
