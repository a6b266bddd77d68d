"""What a journal becomes at the start, field by field: whose each position is, what each order is taken for."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.errors import ConfigError
from qmterm.core.orders import AccountBalance, AccountState, Action, BrokerPosition, Fill, Leg, OrderState, Purpose
from qmterm.engine.orders.book import Book, Position
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.engine.orders.recovery import (
    Rebuilt,
    adopt_difference,
    check_account,
    rebuild,
    restore,
    starting_positions,
    tail,
)
from qmterm.journal.state import Adjustment, JournalState, StoredFill, StoredOrder, StoredSession
from tests.engine.fakes import CASH, OCC, entry

OTHER, THIRD = "AMD   260417C00200000", "F     260417C00012000"
STARTED = 1_000
SESSION = StoredSession(7, STARTED, None, "5WT00001", "auto", "sim", "sim", CASH, (), "hash", None)


def account(*positions, orders=(), cash=CASH):
    return AccountState("5WT00001", AccountBalance(cash, cash, cash), positions, orders)


def held(symbol, quantity, average="4.00", multiplier=100):
    return BrokerPosition(symbol, quantity, Decimal(average), multiplier)


def fill(number, symbol=OCC, quantity=2, price="4.10", action=Action.BUY_TO_OPEN, fees="1.00"):
    return Fill(f"f{number}", "1", symbol, action, quantity, Decimal(price), 2_000 + number, Decimal(fees))


def stored(intent, state=OrderState.FILLED, broker_id="1", reason=None):
    return StoredOrder(intent, state, broker_id, 5, reason, 7)


def journal(orders=(), fills=(), adjustments=(), protects=None, **session):
    """Each fill names the strategy and plan of its order, as the file's own rows do."""
    whose = {each.intent.intent_id: (each.intent.strategy, each.intent.plan_id) for each in orders}
    return JournalState(
        session=replace(SESSION, **session),
        orders=tuple(orders),
        fills=tuple(
            StoredFill(made, name, of, number, *whose.get(name, ("external", "")))
            for number, (made, name, of) in enumerate(fills)
        ),
        adjustments=tuple(Adjustment(symbol, Decimal(amount), "r", 9, of, 0) for symbol, amount, of in adjustments),
        protects=protects or {},
    )


def built(saved, broker=None, baseline=None):
    return rebuild(saved, broker or account(), baseline, 3.5)


def test_a_journal_without_a_session_takes_the_brokers_account():
    broker = account(held(OCC, 2), held(OTHER, -1), cash=Decimal(5))
    protects = {"p9": {"symbol": OCC, "strategy": "atr_matrix"}}
    rebuilt = built(JournalState(protects=protects), broker)
    assert rebuilt.first_session is True
    assert rebuilt.records == ()
    assert rebuilt.book.cash == 5
    assert rebuilt.book.positions == (
        Position(OCC, 2, Decimal("4.00"), "atr_matrix", "p9", 0),
        Position(OTHER, -1, Decimal("4.00"), "external", "", 0),
    )


def test_what_the_session_began_with_is_where_the_book_begins():
    start = (held(OCC, 2), held(OTHER, -1))
    rebuilt = built(journal(starting_positions=start, starting_cash=Decimal(777)))
    assert rebuilt.first_session is False
    assert rebuilt.book.cash == 777
    assert rebuilt.book.positions == (
        Position(OCC, 2, Decimal("4.00"), "external", "", STARTED),
        Position(OTHER, -1, Decimal("4.00"), "external", "", STARTED),
    )


def test_fills_of_this_session_move_the_book_and_earlier_ones_are_only_known():
    saved = journal(
        orders=[stored(entry())],
        fills=[(fill(1), "qm-1", 7), (fill(2, quantity=5), "qm-1", 6), (fill(3, quantity=5), "qm-1", None)],
    )
    book = built(saved).book
    assert book.positions == (Position(OCC, 2, Decimal("4.10"), "atr_matrix", "plan-1", 2_001, fees=Decimal("1.00")),)
    assert book.cash == CASH - 821
    assert [book.seen(f"f{number}") for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert book.fill_count == 0  # of the new session


def test_a_fill_belongs_to_whom_its_own_row_names_though_its_order_is_too_old_to_be_given_back():
    old = StoredFill(fill(1), "long-ago", 7, 1, "breakout", "p9")
    saved = replace(journal(fills=[(fill(2, OTHER), "gone", 7)], protects={"p7": {"symbol": OTHER}}), fills=(old,))
    assert [(p.symbol, p.strategy, p.plan_id) for p in built(saved).book.positions] == [(OCC, "breakout", "p9")]


def known(number, intent, session=6, **more):
    """A fill of an earlier session as the journal gives it: with its order's strategy and plan."""
    return StoredFill(fill(number, **more), intent.intent_id, session, number, intent.strategy, intent.plan_id)


FIRST, SECOND = (
    replace(entry(f"qm-{number}"), strategy=name, plan_id=f"p{number}")
    for number, name in ((1, "first"), (2, "second"))
)
CLOSER = replace(FIRST, intent_id="qm-3", legs=(Leg(OCC, Action.SELL_TO_CLOSE, 2),))


def owner_of(*fills, orders=(FIRST, SECOND), protects=None, adjustments=(), quantity=2):
    saved = replace(
        journal([stored(order) for order in orders], starting_positions=(held(OCC, quantity),), protects=protects),
        fills=fills,
        adjustments=adjustments,
    )
    return [(p.strategy, p.plan_id) for p in built(saved).book.positions]


def test_a_position_is_whose_fill_began_it_whoever_ordered_the_contract_later():
    assert owner_of(known(1, FIRST)) == [("first", "p1")]  # the second filled nothing
    assert owner_of(known(1, FIRST), known(2, SECOND), quantity=4) == [("first", "p1")]  # as the book says, running
    assert owner_of(known(1, FIRST), orders=()) == [("first", "p1")]  # however old


def test_what_was_closed_in_between_is_whose_order_opened_it_again():
    closing = known(2, CLOSER, action=Action.SELL_TO_CLOSE)
    assert owner_of(known(1, FIRST), closing, known(3, SECOND)) == [("second", "p2")]
    part = known(2, CLOSER, action=Action.SELL_TO_CLOSE, quantity=1)
    assert owner_of(known(1, FIRST), part, known(3, SECOND), quantity=3) == [("first", "p1")]


def test_what_the_broker_took_away_is_whose_order_opened_it_again():
    gone = Adjustment(OCC, Decimal(-2), "reconcile: expiry", 9, 6, 2)
    assert owner_of(known(1, FIRST), known(3, SECOND), adjustments=(gone,)) == [("second", "p2")]
    assert owner_of(known(1, FIRST), known(3, SECOND), adjustments=(replace(gone, symbol=None),), quantity=4) == [
        ("first", "p1")
    ]


def test_orders_that_filled_nothing_own_nothing_nor_do_their_stops():
    waits = {"p2": {"symbol": OCC, "strategy": "second", "quantity": 0}}
    assert owner_of(protects=waits) == [("external", "")]
    assert owner_of(known(1, FIRST), protects=waits) == [("first", "p1")]


def test_a_close_of_more_than_the_journal_knows_opened_nothing():
    closing = known(1, CLOSER, action=Action.SELL_TO_CLOSE, quantity=5)
    assert owner_of(closing) == [("external", "")]
    assert owner_of(closing, known(2, SECOND)) == [("second", "p2")]


def test_what_a_split_made_is_whose_stop_watches_it_also_after_a_crash_in_the_same_session():
    watches = {"p1": {"symbol": OCC, "strategy": "first", "quantity": 4}}
    saved = replace(journal(protects=watches), adjustments=(Adjustment(OCC, Decimal(4), "split", 9, 7, 1),))
    (position,) = built(saved).book.positions
    assert (position.quantity, position.strategy, position.plan_id) == (4, "first", "p1")


def owners(*fills, adjustments=(), protects=None):
    """Whose two contracts of each symbol are, after these fills of an earlier session: (seq, fill, strategy, plan)."""
    saved = journal(protects=protects, starting_positions=(held(OCC, 2), held(OTHER, -1)))
    kept = tuple(StoredFill(made, "gone", 6, seq, strategy, plan) for seq, made, strategy, plan in fills)
    given = tuple(Adjustment(symbol, Decimal(amount), "r", 9, 6, seq) for seq, symbol, amount in adjustments)
    return [(p.strategy, p.plan_id) for p in built(replace(saved, fills=kept, adjustments=given)).book.positions]


def test_who_opened_a_contract_owns_it_and_neither_a_close_nor_an_addition_takes_it_over():
    bought, more = (1, fill(1), "first", "p1"), (2, fill(2), "second", "p2")
    less = (3, fill(3, action=Action.SELL_TO_CLOSE), "closer", "p3")
    sold = (4, fill(4, OTHER, 1, action=Action.SELL_TO_OPEN), "seller", "p4")
    assert owners(sold, less, more, bought) == [("first", "p1"), ("seller", "p4")]


def test_an_order_that_never_filled_owns_nothing():
    orders = [
        stored(replace(entry("qm-1"), strategy="first", plan_id="p1")),
        stored(replace(entry("qm-2"), strategy="manual", plan_id="p2"), OrderState.CANCELLED),
    ]
    saved = journal(orders, [(fill(1), "qm-1", 6)], starting_positions=(held(OCC, 2),))
    assert [(p.strategy, p.plan_id) for p in built(saved).book.positions] == [("first", "p1")]


def test_what_was_closed_or_expired_and_opened_anew_belongs_to_the_new_trade():
    bought, again = (1, fill(1), "first", "p1"), (5, fill(2), "second", "p2")
    out = (3, fill(3, action=Action.SELL_TO_CLOSE), "first", "p1")
    assert owners(bought, out, again)[0] == ("second", "p2")
    assert owners(bought, again, adjustments=[(3, OCC, "-2")])[0] == ("second", "p2")
    assert owners(bought, again, adjustments=[(7, OCC, "-2")])[0] == ("first", "p1")


def test_what_was_held_before_the_journal_and_closed_hides_no_new_trade():
    out = (1, fill(1, action=Action.SELL_TO_CLOSE), "external", "")
    assert owners(out, (2, fill(2), "first", "p1"))[0] == ("first", "p1")


def test_without_fills_a_contract_belongs_to_whom_a_stop_names():
    protects = {"p9": {"symbol": OCC, "strategy": "breakout"}, "p8": {"symbol": 5}}
    assert owners(protects=protects) == [("breakout", "p9"), ("external", "")]


def test_a_fill_belongs_to_the_order_it_filled_whoever_opened_the_contract_later():
    orders = [
        stored(replace(entry("qm-1"), strategy="first", plan_id="p1")),
        stored(replace(entry("qm-2"), strategy="second", plan_id="p2"), OrderState.LIVE),
    ]
    book = built(journal(orders, [(fill(1), "qm-1", 7)])).book
    assert [(p.strategy, p.plan_id) for p in book.positions] == [("first", "p1")]


def test_adjustments_of_this_session_are_part_of_the_book():
    saved = journal(
        adjustments=[
            (None, "-2", 7),
            (None, "-1", 7),
            (None, "-50", 6),
            (OCC, "1", 7),
            (OCC, "9", 6),
            (OTHER, "-2", 7),
        ],
        starting_positions=(held(OCC, 2),),
    )
    book = built(saved).book
    assert book.cash == CASH - 3
    assert [(p.symbol, p.quantity, p.average, p.strategy, p.plan_id, p.opened_ns) for p in book.positions] == [
        (OCC, 3, Decimal("4.00"), "external", "", STARTED), (OTHER, -2, 0, "external", "", 9),
    ]  # fmt: skip


def test_what_was_adopted_by_its_quantity_alone_costs_what_the_broker_says():
    saved = journal(adjustments=[(OTHER, "3", 7)], starting_positions=(held(OCC, 2),))
    broker = account(held(OCC, 2, "9.99"), held(OTHER, 5, "1.25"), held(THIRD, 1))
    book = built(saved, broker).book
    assert [(p.symbol, p.quantity, p.average, p.opened_ns) for p in book.positions] == [
        (OCC, 2, Decimal("4.00"), STARTED), (OTHER, 3, Decimal("1.25"), 9),
    ]  # fmt: skip


def test_what_was_closed_elsewhere_is_no_part_of_what_was_bought_after_it():
    live = Book(CASH)
    first, then = fill(1, price="4.00"), fill(2, price="9.00")
    live.apply(first, "one", "P1")
    adopt_difference(live, OCC, Decimal(0), account(), 2_500)
    live.apply(then, "two", "P2")
    saved = JournalState(
        session=SESSION,
        fills=(StoredFill(first, "e1", 7, 1, "one", "P1"), StoredFill(then, "e2", 7, 3, "two", "P2")),
        adjustments=(Adjustment(OCC, Decimal(-2), "r", 2_500, 7, 2),),
    )
    assert built(saved, account(held(OCC, 2, "9.00"))).book.positions == live.positions


def test_what_was_adopted_and_sold_in_part_has_gained_what_it_cost_less():
    live = Book(CASH)
    adopt_difference(live, OCC, Decimal(4), account(held(OCC, 4, "5.00")), 2_000)
    sold = fill(1, price="9.00", action=Action.SELL_TO_CLOSE)
    live.apply(sold, "external", "")
    saved = JournalState(
        session=SESSION,
        fills=(StoredFill(sold, "c1", 7, 2),),
        adjustments=(Adjustment(OCC, Decimal(4), "r", 2_000, 7, 1),),
    )
    assert built(saved, account(held(OCC, 2, "5.00"))).book.positions == live.positions


@pytest.mark.parametrize(
    ("baseline", "known"), [(None, False), ({}, False), ({"fill_ids": ["old"]}, True), ({"fill_ids": "old"}, False)]
)
def test_fills_older_than_the_journal_are_named_by_its_baseline(baseline, known):
    book = built(journal(), baseline=baseline).book
    assert book.seen("old") is known
    assert not book.seen("o")


@pytest.mark.parametrize(
    ("was", "taken_for"),
    [(OrderState.INTENT, OrderState.UNKNOWN), (OrderState.SENT, OrderState.UNKNOWN)]
    + [(state, state) for state in OrderState if state not in (OrderState.INTENT, OrderState.SENT)],
)
def test_an_order_that_may_have_left_is_unknown_and_any_other_is_what_it_was(was, taken_for):
    (record,) = built(journal([stored(entry(), was)])).records
    assert record.state is taken_for


def test_a_record_comes_back_with_its_fills_number_and_word():
    saved = journal(
        orders=[stored(entry(), OrderState.LIVE, "55", "a word"), stored(entry("qm-2"), OrderState.SENT, None)],
        fills=[(fill(1), "qm-1", 7), (fill(2), "qm-2", 7), (fill(3), "qm-1", 6)],
    )
    first, second = built(saved).records
    assert first == OrderRecord(
        entry(), OrderState.LIVE, broker_id="55", reason="a word", fills={"f1": fill(1), "f3": fill(3)},
        external=False, known_since=3.5, worked_from_ns=entry().created_ns,
    )  # fmt: skip
    assert (second.broker_id, second.reason, list(second.fills)) == (None, "", ["f2"])


def test_an_adopted_order_without_a_row_is_known_by_the_number_in_its_name():
    adopted = replace(entry("ext-88"), strategy="external", purpose=Purpose.EXTERNAL)
    named = stored(adopted, OrderState.INTENT, None)
    (record,) = built(journal([named])).records
    assert (record.external, record.broker_id) == (True, "88")
    (record,) = built(journal([replace(named, broker_id="89")])).records
    assert record.broker_id == "89"
    (ours,) = built(journal([stored(entry("ext-90"), OrderState.INTENT, None)])).records
    assert (ours.external, ours.broker_id) == (False, None)


def test_restored_records_are_found_by_both_names():
    ledger = Ledger()
    records = built(journal([stored(entry()), stored(entry("qm-2"), broker_id="2")])).records
    restore(ledger, Rebuilt(Book(CASH), records, False))
    assert ledger.records == records


def test_the_next_session_begins_with_what_is_held():
    book = Book(CASH, [Position(OCC, 2, Decimal("4.10"), "s", "p", 1), Position("NVDA", 50, Decimal(170), "s", "p", 1)])
    assert starting_positions(book) == (held(OCC, 2, "4.10"), held("NVDA", 50, "170", 1))


def test_a_difference_is_taken_from_the_broker_whole():
    book = Book(CASH, [Position(OCC, 2, Decimal("4.10"), "s", "p", 1)])
    broker = account(held(OTHER, 1, "2.00"), held(OCC, 5, "4.40"))
    assert adopt_difference(book, OCC, Decimal(5), broker, 6) == 3
    assert book.position(OCC) == Position(OCC, 5, Decimal("4.40"), "s", "p", 1)
    assert adopt_difference(book, OTHER, Decimal(1), broker, 6) == 1
    assert book.position(OTHER) == Position(OTHER, 1, Decimal("2.00"), "external", "", 6)
    assert adopt_difference(book, THIRD, Decimal(0), broker, 6) == 0
    assert adopt_difference(book, OCC, Decimal(0), account(), 6) == -5
    assert book.position(OCC) is None
    assert adopt_difference(book, "", CASH + 4, broker, 6) == 4
    assert adopt_difference(book, "", CASH + 3, broker, 6) == -1
    assert (book.cash, book.adjustments) == (CASH + 3, 3)


def test_a_journal_of_another_account_is_refused_in_one_sentence():
    check_account(SESSION, "5WT00001", "j.sqlite")
    with pytest.raises(ConfigError) as caught:
        check_account(SESSION, "5WT99994", "j.sqlite")
    assert str(caught.value) == (
        "j.sqlite was kept for account ..0001, this is ..9994; name another file with --journal"
    )
    assert tail("5WT1234567") == "..4567"


# --- whose a position is, with corrections in between ---


def corrected(amount, seq, symbol=OCC):
    return Adjustment(symbol, Decimal(amount), "reconcile", 1, 6, seq)


def test_a_correction_of_cash_says_nothing_of_whose_a_position_is():
    assert owner_of(known(2, FIRST), adjustments=(corrected("-0.40", 1, None),)) == [("first", "p1")]


def test_what_came_by_a_correction_and_was_closed_is_whose_order_opened_it_then():
    closing = known(2, CLOSER, action=Action.SELL_TO_CLOSE)
    assert owner_of(closing, known(3, SECOND), adjustments=(corrected(2, 1),)) == [("second", "p2")]


def test_what_went_by_a_correction_and_came_back_by_another_is_nobodys_of_before():
    back = owner_of(known(1, FIRST), adjustments=(corrected(-2, 2), corrected(2, 3)), quantity=2)
    assert back == [("external", "")]


def test_a_stop_of_an_old_version_that_names_no_strategy_still_owns_its_position():
    assert owner_of(orders=(), protects={"p7": {"symbol": OCC}}) == [("external", "p7")]
