"""The order line (`buy 2 NVDA 17APR26 175C @ 4.15 gtc`): text in, a ticket or a mistake out, never an exception.

docs/orders.md has the grammar. The trap is meaning: what can be read two ways (a spread's price without db or cr, two
prices, a digit that is not 0 to 9) is a mistake that says what to type, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import get_close_matches

from qmterm.core.clock import from_et
from qmterm.core.errors import BadSymbol
from qmterm.core.instruments import OptionContract, Right, is_option, option_root, parse_option, underlying_of
from qmterm.core.order_rules import rules_fault
from qmterm.core.orders import Leg, OrderIntent, Purpose, TimeInForce
from qmterm.core.tickets import SIDES, Pricing, Ticket, TicketLeg

MOST_LEGS = 4
MOST_QUANTITY = 10_000
MOST_PRICE = Decimal(100_000)
MOST_TEXT = 400
USAGE = "buy 2 NVDA 17APR26 175C @ 4.15"

_TOKEN = re.compile(r"[@/]|[^\s@/]+(?:/[^\s@/]+)*")  # BRK/B is one word, a / by itself parts two legs
_WHOLE = re.compile(r"[0-9]+\Z")
_NUMBER = re.compile(r"[0-9]*\.?[0-9]+\Z|[0-9]+\.\Z")
_TICKER = re.compile(r"[A-Za-z][A-Za-z0-9./]{0,6}\Z")
_DAY_MONTH = re.compile(r"([0-9]{1,2})([A-Za-z]{3})([0-9]{4}|[0-9]{2})\Z")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_STRIKE = re.compile(r"([0-9]{1,5}(?:\.[0-9]{1,3})?)([CPcp])\Z")
_OCC_TAIL = re.compile(r"[0-9]{6}[CPcp][0-9]{8}\Z")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_PRICE_WORDS = {
    "mkt": Pricing.MARKET,
    "market": Pricing.MARKET,
    "mid": Pricing.MID,
    "nat": Pricing.NATURAL,
    "natural": Pricing.NATURAL,
    "walk": Pricing.WALK,
}
_FORCES = {force.value.lower(): force for force in TimeInForce}


@dataclass(frozen=True, slots=True)
class Mistake:
    """`column` is where the offending word starts, to point at it; `text` says what, and what to do."""

    column: int
    text: str


class _Wrong(Exception):
    """Carries a mistake out of the reader; it never leaves this file."""

    def __init__(self, column: int, text: str) -> None:
        super().__init__(text)
        self.mistake = Mistake(column, text)


def read_order(text: str, today: date, known: Collection[str] | None = None) -> Ticket | Mistake:
    """An order line as a ticket. `known` are the tickers there are (None: every ticker is taken as it is)."""
    if len(text) > MOST_TEXT:
        return Mistake(MOST_TEXT, f"an order line has {MOST_TEXT} letters at most, this one {len(text)}")
    try:
        return _Reader(text, today, known).order()
    except _Wrong as wrong:
        return wrong.mistake


def read_contract(words: Sequence[str], root: str, today: date) -> tuple[date, Decimal | None, Right | None] | Mistake:
    """`15MAY26 180C` or `15MAY26` (a roll): expiry, strike and right; the strike is None where it stays the same."""
    text = " ".join(words)
    reader = _Reader(text, today, None)
    try:
        column, word = reader.take("an expiry such as 15MAY26")
        expiry = reader.expiry(column, word)
        if reader.peek() is None:
            return expiry, None, None
        column, word = reader.take("a strike")
        strike, right = reader.strike(column, word)
        reader.nothing_more()
        reader.alive(0, OptionContract(root, expiry, right, strike))
    except _Wrong as wrong:
        return wrong.mistake
    return expiry, strike, right


def read_price(word: str) -> Decimal | Mistake:
    """A price by itself, dollars, positive (`:orders edit ID 4.20`)."""
    reader = _Reader(word, date.min, None)
    try:
        column, found = reader.take("a price")
        price = reader.price(column, found, "the price")
        reader.nothing_more()
    except _Wrong as wrong:
        return wrong.mistake
    return price


class _Reader:
    def __init__(self, text: str, today: date, known: Collection[str] | None) -> None:
        self._words = [(match.start(), match.group()) for match in _TOKEN.finditer(text)]
        self._end = len(text)
        self._at = 0
        self._today = today
        self._known = known

    # --- words ---

    def peek(self) -> str | None:
        return self._words[self._at][1].lower() if self._at < len(self._words) else None

    def take(self, wanted: str) -> tuple[int, str]:
        if self._at >= len(self._words):
            raise _Wrong(self._end, f"{wanted} is missing here, as in {USAGE}")
        self._at += 1
        return self._words[self._at - 1]

    def nothing_more(self) -> None:
        if self._at < len(self._words):
            column, word = self._words[self._at]
            raise _Wrong(column, f"{word!r} has no meaning here; nothing may follow")

    # --- the order ---

    def order(self) -> Ticket:
        legs = [self._leg()]
        while self.peek() == "/":
            column, _ = self.take("/")
            if len(legs) == MOST_LEGS:
                raise _Wrong(column, f"an order has {MOST_LEGS} legs at most: send the others as an order of their own")
            legs.append(self._leg())
        first = self._words[0][0]
        _agree(first, legs)
        ticket = self._priced(tuple(legs))
        ticket = self._for_how_long(ticket)
        self.nothing_more()
        fault = rules_fault(_as_intent(ticket, self._today))
        if fault is not None:
            raise _Wrong(first, fault)
        return ticket

    def _leg(self) -> TicketLeg:
        column, word = self.take("buy or sell")
        if word.lower() not in SIDES:
            raise _Wrong(column, f"{word!r} is no side: begin a leg with {', '.join(SIDES)}, as in {USAGE}")
        buys, opens = SIDES[word.lower()]
        quantity = self._quantity(*self.take("a quantity"))
        return TicketLeg(buys, quantity, self._instrument(), opens)

    def _quantity(self, column: int, word: str) -> int:
        _only_plain_digits(column, word)
        if word[:1] in "-+" and _NUMBER.match(word[1:]):
            raise _Wrong(column, f"{word} is no quantity: it is above zero, and buy or sell says the side")
        if not _WHOLE.match(word):
            raise _Wrong(column, f"{word!r} is no quantity: whole contracts or shares, as in {USAGE}")
        if len(word.lstrip("0")) > len(str(MOST_QUANTITY)) or int(word) > MOST_QUANTITY:
            raise _Wrong(column, f"{word[:12]} is more than one order takes here ({MOST_QUANTITY:,})")
        if int(word) == 0:
            raise _Wrong(column, "a quantity of 0 trades nothing: it is at least 1")
        return int(word)

    def _instrument(self) -> str:
        column, word = self.take("a symbol")
        _only_plain_digits(column, word)
        if is_option(word.upper()):
            return self._occ(column, word.upper())
        if not _TICKER.match(word):
            raise _Wrong(column, f"{word!r} is no symbol; a leg is side, quantity, symbol, as in {USAGE}")
        ticker = word.upper()
        following = self.peek() or ""
        if _OCC_TAIL.match(following):
            return self._occ(column, f"{option_root(ticker):<6}{self.take('a contract')[1].upper()}")
        self._is_known(column, ticker)
        if not following[:1].isdigit():
            return ticker.replace("/", ".")
        expiry = self.expiry(*self.take("an expiry"))
        strike, right = self.strike(*self.take("a strike such as 175C"))
        return self.alive(column, OptionContract(option_root(ticker), expiry, right, strike))

    def _occ(self, column: int, word: str) -> str:
        try:
            contract = parse_option(word)
        except BadSymbol as error:
            raise _Wrong(column, str(error)) from None
        self._is_known(column, contract.root)
        return self.alive(column, contract)

    def expiry(self, column: int, word: str) -> date:
        _only_plain_digits(column, word)
        found = _date_of(word)
        if found is None:
            raise _Wrong(column, f"{word!r} is no expiry: type 17APR26 or 2026-04-17")
        return found

    def strike(self, column: int, word: str) -> tuple[Decimal, Right]:
        _only_plain_digits(column, word)
        match = _STRIKE.match(word)
        if match is None or Decimal(match.group(1)) == 0:
            raise _Wrong(column, f"{word!r} is no strike: type the strike and C or P together, 175C or 172.5P")
        return Decimal(match.group(1)), Right(match.group(2).upper())

    def alive(self, column: int, contract: OptionContract) -> str:
        if contract.expiry < self._today:
            raise _Wrong(column, f"{contract} expired on {contract.expiry}: choose a later expiry")
        return contract.occ

    def _is_known(self, column: int, ticker: str) -> None:
        names = self._known
        if names is None or ticker in names or ticker.replace("/", ".") in names:
            return
        # An option root is spelled without the dot of its stock (BRKB for BRK.B).
        if any(option_root(name) == option_root(ticker) for name in names):
            return
        alike = [name for name in names if name[:1] == ticker[:1] and abs(len(name) - len(ticker)) <= 1]
        near = get_close_matches(ticker, alike, 1, 0.5)
        raise _Wrong(column, f"no symbol {ticker} is listed" + (f"; did you mean {near[0]}?" if near else ""))

    # --- price and time ---

    def _priced(self, legs: tuple[TicketLeg, ...]) -> Ticket:
        if self.peek() == "stop":
            return self._stopped(legs)
        if self.peek() != "@":
            return Ticket(legs)
        self.take("@")
        column, word = self.take("a price")
        pricing = _PRICE_WORDS.get(word.lower())
        if pricing is None:
            return Ticket(legs, Pricing.GIVEN, self._net(column, legs, self.price(column, word, "the price")))
        return Ticket(legs, pricing)

    def _stopped(self, legs: tuple[TicketLeg, ...]) -> Ticket:
        column, _ = self.take("stop")
        if len(legs) > 1:
            raise _Wrong(column, "a stop order has one leg: give a spread a price")
        trigger = self.price(*self.take("the stop's trigger"), "the stop trigger")
        if self.peek() != "limit":
            return Ticket(legs, Pricing.GIVEN, None, trigger)
        self.take("limit")
        limit = self.price(*self.take("the limit"), "the limit")
        return Ticket(legs, Pricing.GIVEN, -limit if legs[0].buys else limit, trigger)

    def price(self, column: int, word: str, what: str) -> Decimal:
        """Dollars, positive, four decimals at most."""
        _only_plain_digits(column, word)
        if word[:1] in "-+":
            raise _Wrong(column, f"{what} is typed without a sign; a spread's side is db (you pay) or cr (you get)")
        if len(word) > 15 or not _NUMBER.match(word):
            raise _Wrong(column, f"{word[:20]!r} is no price: type dollars such as 4.15, or mid, nat, mkt")
        found = Decimal(word)
        if found == 0:
            raise _Wrong(column, f"{what} cannot be zero: the least is one tick")
        if found >= MOST_PRICE:
            raise _Wrong(column, f"{what} {word} is beyond every price here ({MOST_PRICE:,})")
        if found != found.quantize(Decimal("0.0001")):
            raise _Wrong(column, f"{what} {word} has too many decimals: four at most")
        return found

    def _net(self, column: int, legs: tuple[TicketLeg, ...], price: Decimal) -> Decimal:
        """The signed net price: by the side of the legs, or by db and cr where they trade both ways."""
        said = None
        if self.peek() in ("db", "cr", "debit", "credit"):
            said = self.take("db or cr")[1].lower()[0]  # d or c
        sides = {leg.buys for leg in legs}
        if len(sides) > 1:
            if said is None:
                raise _Wrong(column, "a spread's price needs its side: db (you pay it) or cr (you get it)")
            return -price if said == "d" else price
        pays = sides == {True}
        if said is not None and (said == "d") != pays:
            raise _Wrong(column, "a buy pays a debit (db)" if pays else "a sale gets a credit (cr)")
        return -price if pays else price

    def _for_how_long(self, ticket: Ticket) -> Ticket:
        word = self.peek()
        if word not in _FORCES:
            return ticket
        self.take("day")
        force, until = _FORCES[word], None
        if force is TimeInForce.GTD:
            column, word = self.take("the date it is good until, as in gtd 2026-12-31,")
            _only_plain_digits(column, word)
            until = _date_of(word)
            if until is None:
                raise _Wrong(column, f"{word!r} is no date: type gtd 2026-12-31")
        return Ticket(ticket.legs, ticket.pricing, ticket.price, ticket.stop, force, until)


def _agree(column: int, legs: Sequence[TicketLeg]) -> None:
    """Legs of one order: one underlying, options only where there are several, no contract twice."""
    roots = {option_root(underlying_of(leg.symbol)) for leg in legs}
    if len(roots) > 1:
        raise _Wrong(column, f"all legs of an order have one underlying, these have {', '.join(sorted(roots))}")
    if len({leg.symbol for leg in legs}) < len(legs):
        raise _Wrong(column, "a contract stands in two legs: add them up, or send two orders")
    if len(legs) > 1 and not all(is_option(leg.symbol) for leg in legs):
        raise _Wrong(column, "shares and options cannot share an order here: send two orders")


def _date_of(word: str) -> date | None:
    match = _DAY_MONTH.match(word)
    try:
        if match is not None and match.group(2).upper() in _MONTHS:
            year = int(match.group(3))
            month = _MONTHS.index(match.group(2).upper()) + 1
            found = date(year if year > 99 else 2000 + year, month, int(match.group(1)))
        elif _ISO.match(word):
            found = date.fromisoformat(word)
        else:
            return None
    except ValueError:
        return None
    return found if 2000 <= found.year < 2100 else None  # what an OCC symbol can say


def _only_plain_digits(column: int, word: str) -> None:
    strange = next((letter for letter in word if not letter.isascii()), None)
    if strange is not None:
        raise _Wrong(column, f"{word[:20]!r} has a letter that is no plain one ({strange!r}): type a-z and 0-9")


def _as_intent(ticket: Ticket, today: date) -> OrderIntent:
    """The ticket as the table of order rules reads it."""
    return OrderIntent(
        intent_id="",
        created_ns=from_et(today, 12),
        strategy="",
        underlying=ticket.underlying,
        purpose=Purpose.ENTRY,
        legs=tuple(Leg(leg.symbol, leg.action(opens=leg.opens or False), leg.quantity) for leg in ticket.legs),
        quantity=ticket.units,
        # A limit that is found later is there by then.
        net_price=ticket.price if not (ticket.kind.priced and ticket.price is None) else Decimal(1),
        time_in_force=ticket.time_in_force,
        kind=ticket.kind,
        stop_trigger=ticket.stop,
        good_until=ticket.good_until,
    )
