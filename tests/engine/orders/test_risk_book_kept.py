"""What the ledger and the records keep for speed is what a book built from nothing says, after any order events."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from qmterm.core.clock import NS
from qmterm.core.orders import TRANSITIONS, Action, Fill, Leg, OrderIntent, OrderKind, OrderState, Purpose
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.exposure import risk_book
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.risk.worst_case import _worst_loss

T0 = 1_775_050_000 * NS
SYMBOLS = ("NVDA  260417C00175000", "NVDA  260417C00180000", "NVDA  260515P00170000", "AAPL  260417C00230000", "NVDA")
prices = st.integers(1, 400).map(lambda ticks: Decimal(ticks) / 20)
events = st.lists(
    st.tuples(
        st.sampled_from(("new", "new", "state", "state", "fill", "fit", "step")),
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
    fresh = Ledger()
    for record in ledger.records:
        fresh.add(replace(record, parts_seen=None))
    _worst_loss.cache_clear()
    return seen(book, fresh, now)


def seen(book: Book, ledger: Ledger, now: int):
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


@settings(max_examples=120, deadline=None)
@given(events)
def test_the_kept_book_is_the_one_built_from_nothing(steps):
    book, ledger, now = Book(Decimal(100_000)), Ledger(), T0
    for number, (what, pick, symbol, action, units, price, passed) in enumerate(steps):
        now += passed * NS
        records = ledger.records
        record = records[pick % len(records)] if records else None
        if what == "new" or record is None:
            ledger.add(OrderRecord(intent(number, symbol, action, units, price, now), OrderState.INTENT))
        elif what == "state" and TRANSITIONS[record.state]:
            ranked = sorted(TRANSITIONS[record.state])
            record.state = ranked[pick % len(ranked)]
        elif what == "fill":  # late ones come too, after the end
            (leg,) = record.intent.legs
            some = min(units, leg.quantity - record.filled(leg.symbol))
            if some > 0:
                fill = Fill(f"f{number}", "1", leg.symbol, leg.action, some, price, now)
                record.fills[fill.fill_id] = fill
                book.apply(fill, record.intent.strategy, "plan")
        elif what == "fit" and record.intent.replaces is not None:
            legs = (replace(record.intent.legs[0], quantity=units),)
            record.intent = replace(record.intent, legs=legs, quantity=units)
        elif what == "step":
            fresh = replace(record.intent, intent_id=f"o{number}", created_ns=now, replaces=record.intent.intent_id)
            ledger.add(OrderRecord(fresh, OrderState.SENT))
        assert seen(book, ledger, now) == built_from_nothing(book, ledger, now)
        assert ledger.working == tuple(r for r in ledger.records if r.working)
        assert ledger.unknown == tuple(r for r in ledger.records if r.state is OrderState.UNKNOWN)


def test_entries_are_found_by_their_time_whatever_the_order_they_came_in():
    ledger = Ledger()
    for number, at in enumerate((30, 10, 20)):
        buy = intent(number, SYMBOLS[0], Action.BUY_TO_OPEN, 1, Decimal(1), T0 + at)
        ledger.add(OrderRecord(buy, OrderState.CANCELLED))
    assert [r.intent.created_ns - T0 for r in ledger.entries_after(T0 + 10)] == [20, 30]
    ledger.add(ledger.records[0])  # the same one again
    assert len(ledger.entries_after(T0)) == 3


def test_an_order_counted_as_never_accepted_works_again_when_it_turns_up():
    ledger = Ledger()
    buy = intent(0, SYMBOLS[0], Action.BUY_TO_OPEN, 1, Decimal(1), T0)
    record = OrderRecord(buy, OrderState.NOT_ACCEPTED)
    ledger.add(record)
    assert ledger.working == ()
    record.state = OrderState.LIVE
    assert ledger.working == (record,)
