"""What the ledger and the records keep for speed is what a book built from nothing says, after any order events.

New orders, sent, answered, filled in parts, replaced, in brackets, cancelled, unknown, never accepted and then adopted,
settled at expiry, placed by somebody elsewhere; what may not follow what is TRANSITIONS' to say.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from qmterm.core.clock import NS
from qmterm.core.orders import (
    TRANSITIONS,
    Action,
    BracketRole,
    BrokerOrder,
    Fill,
    Leg,
    OrderIntent,
    OrderKind,
    OrderState,
    Purpose,
    TimeInForce,
)
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.brackets import ExitTerms, exits_behind
from qmterm.engine.orders.exposure import closable, open_risk, risk_book, standing
from qmterm.engine.orders.fillable import parts_of
from qmterm.engine.orders.ledger import Ledger, OrderRecord, adopt
from qmterm.risk.worst_case import _worst_loss

T0 = 1_775_050_000 * NS
SYMBOLS = ("NVDA  260417C00175000", "NVDA  260417C00180000", "NVDA  260515P00170000", "AAPL  260417C00230000", "NVDA")
KINDS = (
    "new",
    "new",
    "spread",
    "bracket",
    "state",
    "state",
    "state",
    "fill",
    "fill",
    "fit",
    "step",
    "elsewhere",
    "settle",
)
prices = st.integers(1, 400).map(lambda ticks: Decimal(ticks) / 20)
events = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.integers(0, 10_000),
        st.sampled_from(SYMBOLS),
        st.sampled_from(list(Action)),
        st.integers(1, 4),
        prices,
        st.integers(0, 40),  # seconds that pass
    ),
    max_size=25,
)


def built_from_nothing(book: Book, ledger: Ledger, now: int):
    """All a decision looks at, from records that know of no past question."""
    fresh = Ledger()
    for record in ledger.records:
        fresh.add(replace(record, parts_seen=None))
    _worst_loss.cache_clear()
    return seen(book, fresh, now)


def seen(book: Book, ledger: Ledger, now: int):
    first = ledger.records[:1]
    return (
        *(view(book, ledger, now) for ledger in (ledger, *(ledger.without(record) for record in first))),
        open_risk(book, ledger),
        [[record.intent.intent_id for record in chain] for chain in ledger.chains],
        [(closable(book, ledger, symbol), closable(book, ledger, symbol, resting=False)) for symbol in SYMBOLS],
        [[record.intent.intent_id for record in ledger.resting(symbol)] for symbol in SYMBOLS],
    )


def view(book: Book, ledger: Ledger, now: int):
    return risk_book(
        book, ledger, nlv=Decimal(100_000), now_ns=now, buying_power=Decimal(50_000), duplicate_s=30.0,
        ask=lambda symbol: Decimal(len(symbol)),
    )  # fmt: skip


def intent(number: int, symbol: str, action: Action, units: int, price: Decimal, now: int) -> OrderIntent:
    market = number % 5 == 4 and not action.opens
    return OrderIntent(
        intent_id=f"o{number}",
        created_ns=now,
        strategy=f"s{number % 2}",
        underlying=symbol[:6].strip(),
        purpose=Purpose.ENTRY if action.opens else Purpose.EXIT,
        legs=(Leg(symbol, action, units),),
        quantity=units,
        net_price=None if market else (-price if action.buys else price),
        kind=OrderKind.MARKET if market else OrderKind.LIMIT,
        max_loss=price * 100 * units if action.opens else None,
    )


def spread(number: int, units: int, price: Decimal, now: int) -> OrderIntent:
    """Two legs, whose fills may come apart."""
    legs = (Leg(SYMBOLS[0], Action.BUY_TO_OPEN, units), Leg(SYMBOLS[1], Action.SELL_TO_OPEN, units))
    return replace(intent(number, SYMBOLS[0], Action.BUY_TO_OPEN, units, price, now), legs=legs)


def bracket(number: int, units: int, price: Decimal, now: int) -> tuple[OrderIntent, ...]:
    entry = intent(number, SYMBOLS[number % 4], Action.BUY_TO_OPEN, units, price, now)
    return exits_behind(entry, ExitTerms(price / 2, price * 2 if number % 2 else None))


def elsewhere(number: int, symbol: str, action: Action, units: int, price: Decimal, now: int) -> OrderRecord:
    """An order of somebody's, alone or in a bracket of his own."""
    resting = number % 3 == 0 and not action.opens
    order = BrokerOrder(
        broker_id=f"9{number}",
        external_id=None,
        account="5WT00001",
        underlying=symbol[:6].strip(),
        state=OrderState.LIVE,
        legs=(Leg(symbol, action, units),),
        fills=(),
        net_price=-price if action.buys else price,
        time_in_force=TimeInForce.DAY.value,
        received_ns=now,
        updated_ns=now,
        complex_id=f"7{number}" if resting else None,
        role=BracketRole.STOP if resting else None,
    )
    return adopt(order, now, 0.0)


def _fits(what: str, record: OrderRecord) -> bool:
    """Can this happen to it?"""
    match what:
        case "state":
            return bool(TRANSITIONS[record.state])
        case "fit":
            return record.working and (record.intent.replaces is not None or record.intent.rests)
        case "step":
            return record.working
        case _:
            return True


class Day:
    """A book and a ledger that go through a day; each step is one event, or nothing where it does not fit."""

    def __init__(self) -> None:
        self.book, self.ledger, self.now = Book(Decimal(100_000)), Ledger(), T0

    def step(self, number, what, pick, symbol, action, units, price):
        records = [record for record in self.ledger.records if _fits(what, record)]
        record = records[pick % len(records)] if records else None
        if what == "spread":
            self._add(spread(number, units, price, self.now))
        elif what == "bracket":
            for each in bracket(number, units, price, self.now):
                self._add(each)
        elif what == "elsewhere":
            self.ledger.add(elsewhere(number, symbol, action, units, price, self.now))
        elif what == "end":  # an expired contract leaves the book behind the ledger's back
            held = self.book.positions
            if held:
                gone = held[pick % len(held)]
                close = Action.SELL_TO_CLOSE if gone.quantity > 0 else Action.BUY_TO_CLOSE
                fill = Fill(f"x{number}", "expiry", gone.symbol, close, abs(gone.quantity), Decimal(0), self.now)
                self.book.apply(fill, gone.strategy, "plan")
        elif what == "new" or record is None:
            self._add(intent(number, symbol, action, units, price, self.now))
        elif what == "state":
            ranked = sorted(TRANSITIONS[record.state])
            record.state = ranked[pick % len(ranked)]
        elif what == "fill":  # late ones come too, after the end
            leg = record.intent.legs[pick % len(record.intent.legs)]
            some = min(units, leg.quantity - record.filled(leg.symbol))
            if some > 0:
                fill = Fill(f"f{number}", "1", leg.symbol, leg.action, some, price, self.now)
                self.ledger.fill(record, fill)
                self.book.apply(fill, record.intent.strategy, "plan")
        elif what == "fit":
            legs = tuple(replace(leg, quantity=units) for leg in record.intent.legs)
            record.intent = replace(record.intent, legs=legs, quantity=units)
        elif what == "step":
            fresh = replace(
                record.intent,
                intent_id=f"o{number}",
                created_ns=self.now,
                replaces=record.intent.intent_id,
                net_price=-price if record.intent.legs[0].action.buys else price,
            )
            self._add(fresh, OrderState.SENT)

    def _add(self, intent: OrderIntent, state: OrderState = OrderState.INTENT) -> None:
        self.ledger.add(OrderRecord(intent, state))


@settings(max_examples=200, deadline=None)
@given(events)
def test_the_kept_book_is_the_one_built_from_nothing(steps):
    day = Day()
    for number, (*event, passed) in enumerate(steps):
        day.now += passed * NS
        day.step(number, *event)
        assert seen(day.book, day.ledger, day.now) == built_from_nothing(day.book, day.ledger, day.now)
        assert day.ledger.working == tuple(r for r in day.ledger.records if r.working)
        assert day.ledger.unknown == tuple(r for r in day.ledger.records if r.state is OrderState.UNKNOWN)


def test_what_stands_is_made_out_once_until_something_changes():
    day = Day()
    day.step(0, "new", 0, SYMBOLS[0], Action.BUY_TO_OPEN, 4, Decimal(1))
    stood = standing(day.book, day.ledger)
    assert standing(day.book, day.ledger) is stood
    for what in ("new", "fill", "state", "fit", "spread", "end"):
        day.step(9, what, 0, SYMBOLS[0], Action.BUY_TO_OPEN, 2, Decimal(1))
        now = standing(day.book, day.ledger)
        assert now is not stood
        stood = now


def test_what_stands_at_a_price_that_somebody_asks_is_made_out_each_time():
    ledger = Ledger()
    buy = replace(intent(0, SYMBOLS[0], Action.BUY_TO_OPEN, 1, Decimal(1), T0), net_price=None, kind=OrderKind.MARKET)
    ledger.add(OrderRecord(replace(buy, max_loss=None), OrderState.LIVE))
    book = Book(Decimal(1000))
    low, high = (
        sum(standing(book, ledger, lambda _symbol, price=price: Decimal(price)).by_symbol.values()) for price in (3, 5)
    )
    assert high - low == 200


def test_an_ended_trigger_that_turns_up_filled_lets_its_exits_count():
    day = Day()
    day.step(0, "bracket", 0, SYMBOLS[0], Action.BUY_TO_OPEN, 2, Decimal(1))
    trigger, *exits = day.ledger.records
    for number, (symbol, action) in enumerate(((SYMBOLS[0], Action.BUY_TO_OPEN), (SYMBOLS[1], Action.SELL_TO_OPEN))):
        fill = Fill(f"h{number}", "1", symbol, action, 2, Decimal(1), T0)
        day.book.apply(fill, trigger.intent.strategy, "plan")
    trigger.state = OrderState.NOT_ACCEPTED
    for each in exits:
        each.state = OrderState.CONTINGENT
    before = seen(day.book, day.ledger, day.now)
    trigger.state = OrderState.FILLED  # its fills are not told yet
    assert seen(day.book, day.ledger, day.now) == built_from_nothing(day.book, day.ledger, day.now) != before


def test_a_replacement_that_the_broker_sized_anew_is_counted_at_its_new_size():
    day = Day()
    day.step(0, "new", 0, SYMBOLS[0], Action.BUY_TO_OPEN, 4, Decimal(1))
    day.step(1, "step", 0, SYMBOLS[0], Action.BUY_TO_OPEN, 4, Decimal(2))
    seen(day.book, day.ledger, day.now)
    day.step(2, "fit", 0, SYMBOLS[0], Action.BUY_TO_OPEN, 9, Decimal(2))
    assert seen(day.book, day.ledger, day.now) == built_from_nothing(day.book, day.ledger, day.now)


def test_an_order_that_works_again_may_fill_again():
    record = OrderRecord(intent(0, SYMBOLS[0], Action.BUY_TO_OPEN, 3, Decimal(1), T0), OrderState.NOT_ACCEPTED)
    ended = parts_of(record)
    record.state = OrderState.LIVE
    assert parts_of(record) == parts_of(replace(record, parts_seen=None)) != ended


def test_entries_are_found_by_their_time_whatever_the_order_they_came_in():
    ledger = Ledger()
    for number, at in enumerate((30, 10, 20)):
        buy = intent(number, SYMBOLS[0], Action.BUY_TO_OPEN, 1, Decimal(1), T0 + at)
        ledger.add(OrderRecord(buy, OrderState.CANCELLED))
    assert [r.intent.created_ns - T0 for r in ledger.entries_after(T0 + 10)] == [20, 30]
    ledger.add(ledger.records[0])  # the same one again
    assert len(ledger.entries_after(T0)) == 3


def test_an_id_that_comes_again_stands_for_the_newer_record_where_the_older_one_stood():
    ledger = Ledger()
    buys = [intent(number, SYMBOLS[0], Action.BUY_TO_OPEN, 1, Decimal(1), T0) for number in range(3)]
    for buy in buys:
        ledger.add(OrderRecord(buy, OrderState.CANCELLED if buy is buys[0] else OrderState.LIVE))
    assert len(ledger.working) == 2
    again = OrderRecord(buys[0], OrderState.LIVE)
    ledger.add(again)
    assert ledger.working == ledger.records
    assert ledger.working[0] is again
    assert [record for record in ledger.entries_after(T0 - 1) if record.intent is buys[0]] == [again]


def test_an_order_counted_as_never_accepted_works_again_when_it_turns_up():
    ledger = Ledger()
    buy = intent(0, SYMBOLS[0], Action.BUY_TO_OPEN, 1, Decimal(1), T0)
    record = OrderRecord(buy, OrderState.NOT_ACCEPTED)
    ledger.add(record)
    assert ledger.working == ()
    record.state = OrderState.LIVE
    assert ledger.working == (record,)
