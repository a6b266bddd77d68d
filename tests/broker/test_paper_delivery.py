"""Options of the paper account end as they do at a real broker: shares at the strike, cash for indices, one price."""

import json
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.broker.paper import PaperBroker
from qmterm.broker.paper_book import PaperBook
from qmterm.broker.paper_delivery import EARLY_CHANCE, Scene, assign_early, settle_expired
from qmterm.broker.paper_night import by_itself
from qmterm.broker.paper_statement import statement
from qmterm.core.clock import NS, ManualClock, from_et
from qmterm.core.corporate import DayActions
from qmterm.core.errors import JournalError
from qmterm.core.instruments import is_option
from qmterm.core.orders import Action, BrokerPosition, OrderState, TimeInForce
from qmterm.core.settings.broker import PaperSettings
from tests.broker.conftest import MONDAY, buy
from tests.sim.brokerage.fake_world import APRIL, CALENDAR, CALL_230, CALL_240, PUT_220, FakeWorld, option

CLOSE = from_et(APRIL, 16)
SPX_AM, SPX_PM = option(6000, root="SPX"), option(6000, root="SPXW")


@dataclass
class Facts:
    """What a test says of companies; every day of every stock is known unless it is named as unknown."""

    days: dict = field(default_factory=dict)  # (ticker, day) -> DayActions or None
    closes: dict = field(default_factory=dict)
    early: dict = field(default_factory=dict)
    names: dict = field(default_factory=dict)

    def ticker(self, root):
        return self.names.get(root, root)

    def actions(self, ticker, day, *, shares):
        return self.days.get((ticker, day), DayActions())

    def close(self, ticker, day):
        return self.closes.get((ticker, day))

    def early_exercise(self, symbol):
        return self.early.get(symbol, "")


def held(cash=100_000, **more):
    """A book that holds what `positions` says."""
    book = PaperBook(Decimal(cash))
    for symbol, quantity in more.get("positions", {}).items():
        book.positions[symbol] = BrokerPosition(symbol, quantity, Decimal(1), 100 if is_option(symbol) else 1)
    return book


def scene(now_ns=CLOSE, facts=None, quoted_ns=None, **prices):
    world = FakeWorld(now_ns=now_ns if quoted_ns is None else quoted_ns)
    for symbol, price in prices.items():
        world.set(symbol, price - 0.01, price + 0.01)
    return Scene(now_ns, CALENDAR, world, facts)


def holdings(book):
    return {symbol: position.quantity for symbol, position in book.positions.items()}


def lines(book):
    """(sub-kind, symbol, quantity, value, fees) of what was booked, oldest first."""
    return [(row.sub_kind, row.symbol, row.quantity, row.value, row.fees) for row in book.transactions]


@pytest.mark.parametrize(
    ("symbol", "quantity", "spot", "shares", "dollars"),
    [
        (CALL_230, 2, 236.42, 200, -46_000),
        (CALL_230, -2, 236.42, -200, 46_000),
        (PUT_220, 1, 210.00, -100, 22_000),
        (PUT_220, -1, 210.00, 100, -22_000),
        (CALL_230, 1, 230.01, 100, -23_000),  # one cent in the money
    ],
)
def test_a_stock_option_in_the_money_becomes_shares_at_the_strike(symbol, quantity, spot, shares, dollars):
    book = held(positions={symbol: quantity})
    settle_expired(book, scene(AAPL=spot))
    assert holdings(book) == {"AAPL": shares}
    assert book.positions["AAPL"].average_open_price == abs(Decimal(dollars) / shares)
    removal, delivery = lines(book)
    assert removal == ("Exercise" if quantity > 0 else "Assignment", symbol, abs(quantity), 0, 0)
    word = Action.BUY_TO_OPEN if shares > 0 else Action.SELL_TO_OPEN
    assert delivery[:4] == (word.value, "AAPL", abs(shares), dollars)
    assert book.cash == 100_000 + dollars - delivery[4]


@pytest.mark.parametrize("spot", [230.00, 229.99, 200.0])
def test_what_is_not_a_cent_in_the_money_is_worthless(spot):
    book = held(positions={CALL_230: -3})
    settle_expired(book, scene(AAPL=spot))
    assert (holdings(book), book.cash) == ({}, 100_000)
    assert lines(book) == [("Expiration", CALL_230, 3, 0, 0)]


def test_a_covered_call_that_is_assigned_leaves_cash_alone():
    book = held(positions={CALL_230: -1, "AAPL": 100})
    settle_expired(book, scene(AAPL=240.0))
    assert holdings(book) == {}
    assert lines(book)[1][0] == "Sell to Close"


def test_both_legs_of_a_spread_end_at_one_price_though_the_quote_moves():
    book = held(positions={CALL_230: 1})
    settle_expired(book, scene(AAPL=235.0))
    book.positions[CALL_240] = BrokerPosition(CALL_240, -1, Decimal(1), 100)
    settle_expired(book, scene(CLOSE + 60 * NS, AAPL=245.0))
    assert holdings(book) == {"AAPL": 100}  # at 235 the sold 240 call is worthless


def test_without_a_price_of_the_close_a_position_waits_for_the_official_one():
    book, facts = held(positions={CALL_230: 1}), Facts()
    settle_expired(book, scene(facts=facts))
    settle_expired(book, scene(facts=facts, quoted_ns=from_et(APRIL, 15), AAPL=250.0))  # an hour old: no close
    monday = from_et(date(2026, 4, 20), 10)
    settle_expired(book, scene(monday, facts, AAPL=250.0))  # Monday's price is not Friday's
    assert holdings(book) == {CALL_230: 1}
    facts.closes["AAPL", APRIL] = Decimal("231.00")
    settle_expired(book, scene(monday, facts))
    assert holdings(book) == {"AAPL": 100}


def test_an_index_in_the_morning_settles_in_cash_on_the_opening_and_its_weekly_at_the_close():
    book = held(positions={SPX_AM: 1, SPX_PM: -1})
    before = scene(from_et(APRIL, 9, 30), quoted_ns=from_et(APRIL, 9, 29), SPX=6010.0, SPXW=6010.0)
    assert settle_expired(book, before) == []
    settle_expired(book, scene(from_et(APRIL, 9, 31), SPX=6020.0, SPXW=6020.0))
    assert (holdings(book), book.cash) == ({SPX_PM: -1}, 102_000)
    settle_expired(book, scene(SPX=6005.0, SPXW=6005.0))
    assert (holdings(book), book.cash) == ({}, 101_500)
    assert [line[0] for line in lines(book)] == ["Cash Settled Exercise", "Cash Settled Assignment"]


@given(
    st.sampled_from([CALL_230, CALL_240, PUT_220, SPX_PM]),
    st.integers(1, 50),
    st.integers(20_000, 26_000).map(lambda cents: cents / 100),
    st.integers(-500, 500),
)
def test_what_one_side_gets_the_other_gives(symbol, quantity, spot, shares):
    long, short = held(positions={symbol: quantity}), held(positions={symbol: -quantity})
    if shares:
        long.positions["AAPL"] = BrokerPosition("AAPL", shares, Decimal(1), 1)
    moment = scene(AAPL=spot, SPXW=spot * 27)
    settle_expired(long, moment)
    settle_expired(short, moment)
    fees = sum(line[4] for book in (long, short) for line in lines(book))
    assert long.cash + short.cash + fees == 200_000
    assert sum(holdings(book).get("AAPL", 0) for book in (long, short)) == shares
    assert not [name for book in (long, short) for name in holdings(book) if is_option(name)]


# --- before the end ---

EVENING = from_et(MONDAY, 16)


def test_a_sold_call_is_assigned_in_the_night_before_the_ex_date_by_a_seeded_chance_a_contract():
    facts = Facts(early={CALL_230: "dividend"})
    outcomes = set()
    for _ in range(2):
        book = held(positions={CALL_230: -1000})
        assign_early(book, scene(EVENING - NS, facts, AAPL=240.0))
        assert holdings(book) == {CALL_230: -1000}  # not before the close
        assign_early(book, scene(EVENING, facts, AAPL=240.0))
        outcomes.add(-book.positions["AAPL"].quantity // 100)
        assign_early(book, scene(EVENING + NS, facts, AAPL=240.0))
        assert -book.positions["AAPL"].quantity // 100 in outcomes  # once a night
    (assigned,) = outcomes
    assert assigned == pytest.approx(1000 * EARLY_CHANCE["dividend"], abs=40)


def test_who_has_no_reason_exercises_nothing_and_nobody_is_assigned_what_he_bought_or_an_index():
    facts = Facts(early={CALL_240: "dividend", SPX_PM: "dividend"})
    book = held(positions={CALL_230: -10, CALL_240: 10, SPX_PM: -10})
    assert assign_early(book, scene(EVENING, facts, AAPL=250.0)) == []
    off = Scene(EVENING, CALENDAR, FakeWorld(), Facts(early={CALL_230: "deep put"}), early=False)
    assert assign_early(book, off) == []


async def test_an_order_that_would_close_what_was_assigned_is_cancelled():
    paper = await opened(Kept(), EVENING, Facts(early={CALL_230: "dividend"}), AAPL=300.0)
    paper._book.positions[CALL_230] = BrokerPosition(CALL_230, -2, Decimal(1), 100)
    rests = replace(buy(price="-1.00", action=Action.BUY_TO_CLOSE), time_in_force=TimeInForce.GTC)
    await paper.place(rests)
    await paper.on_market(EVENING)
    assert CALL_230 not in holdings(paper._book)
    (order,) = await paper.live_orders()
    assert (order.state, order.reject_reason) == (
        OrderState.CANCELLED,
        "what it was to close is not held any more",
    )


# --- companies ---

EX_DAY = date(2026, 3, 3)


def nights(book, facts, *days, hour=9, **prices):
    for day in days:
        by_itself(book, scene(from_et(day, hour), facts, **prices))


@pytest.mark.parametrize("shares", [150, -150])
def test_a_dividend_is_paid_on_shares_once_and_taken_from_short_ones(shares):
    book = held(positions={"AAPL": shares})
    facts = Facts({("AAPL", EX_DAY): DayActions(Decimal("0.26"))})
    nights(book, facts, MONDAY, EX_DAY, EX_DAY, date(2026, 3, 4))
    assert book.cash == 100_000 + shares * Decimal("0.26")
    assert [(line[0], line[3]) for line in lines(book)] == [("Dividend", shares * Decimal("0.26"))]


def test_who_buys_on_the_ex_date_gets_no_dividend():
    book = held()
    facts = Facts({("AAPL", EX_DAY): DayActions(Decimal("0.26"))})
    nights(book, facts, MONDAY, EX_DAY)
    book.positions["AAPL"] = BrokerPosition("AAPL", 100, Decimal(1), 1)
    nights(book, facts, EX_DAY, date(2026, 3, 4))
    assert book.cash == 100_000


def test_a_day_that_is_not_known_yet_waits_and_what_was_slept_through_is_made_up_in_order():
    book = held(positions={"AAPL": 100})
    facts = Facts({("AAPL", EX_DAY): None})
    nights(book, facts, MONDAY, EX_DAY, date(2026, 3, 5))
    assert book.cash == 100_000
    facts.days["AAPL", EX_DAY] = DayActions(Decimal("0.26"))
    facts.days["AAPL", date(2026, 3, 4)] = DayActions(split=(4, 1))
    nights(book, facts, date(2026, 3, 6))
    assert (book.cash, holdings(book)) == (100_026, {"AAPL": 400})


def test_shares_called_away_before_the_ex_date_earn_no_dividend_though_nobody_was_there():
    book = held(positions={"AAPL": 100, CALL_230: -1})
    monday = date(2026, 4, 20)
    facts = Facts({("AAPL", monday): DayActions(Decimal("0.26"))}, {("AAPL", APRIL): Decimal(240)})
    nights(book, facts, date(2026, 4, 16))
    nights(book, facts, date(2026, 4, 21))
    assert holdings(book) == {}
    assert "Dividend" not in [line[0] for line in lines(book)]


def test_a_split_changes_the_number_and_the_strikes_but_not_the_worth():
    book = held(positions={"AAPL": 150, CALL_230: -2})
    nights(book, Facts({("AAPL", EX_DAY): DayActions(split=(4, 1))}), MONDAY, EX_DAY)
    assert holdings(book) == {"AAPL": 600, option("57.5"): -8}
    assert book.positions["AAPL"].average_open_price == Decimal("0.25")
    assert book.cash == 100_000


def test_a_reverse_split_pays_the_fraction_and_options_that_are_standard_no_more():
    book = held(positions={"AAPL": 105, CALL_230: -2})
    facts = Facts({("AAPL", EX_DAY): DayActions(split=(1, 10))})
    nights(book, facts, MONDAY, AAPL=2.0, **{CALL_230: 0.5})
    moment = scene(from_et(EX_DAY, 9), facts, quoted_ns=from_et(MONDAY, 15), AAPL=2.0, **{CALL_230: 0.5})
    by_itself(book, moment)
    assert holdings(book) == {"AAPL": 10}
    assert book.cash == 100_000 + 5 * 2 - 2 * 50


# --- over a restart ---


class Kept:
    def __init__(self):
        self.text = None
        self.full = False

    async def load(self):
        return None if self.text is None else json.loads(self.text)

    async def save(self, state):
        if self.full:
            raise JournalError("disk full")
        self.text = json.dumps(state)


async def opened(kept, now_ns, facts=None, **prices):
    moment = scene(now_ns, **prices)
    paper = PaperBroker(moment.quotes, kept, ManualClock(now_ns), PaperSettings(), calendar=CALENDAR)
    paper.facts = facts
    await paper.connect()
    return paper


@pytest.mark.parametrize("killed", ["before the save", "between save and tell"])
async def test_a_kill_around_the_save_assigns_and_pays_once(killed):
    kept, facts = Kept(), Facts({("AAPL", APRIL): DayActions(Decimal("0.50"))})
    paper = await opened(kept, from_et(date(2026, 4, 16), 12), facts)
    for symbol, quantity in {"AAPL": 100, CALL_230: -1}.items():
        paper._book.positions[symbol] = BrokerPosition(symbol, quantity, Decimal(1), 100 if is_option(symbol) else 1)
    await paper.on_market(paper._clock.now())
    await paper._keep(paper._book)
    paper = await opened(kept, CLOSE, facts, AAPL=240.0)
    kept.full = killed == "before the save"
    try:
        await paper.on_market(CLOSE)
    except JournalError:
        assert killed == "before the save"
    kept.full = False
    again = await opened(kept, CLOSE + 60 * NS, facts, AAPL=300.0)
    await again.on_market(CLOSE + 60 * NS)
    state = await again.account_state()
    assert state.positions == ()
    rows, complete = await again.transactions(APRIL)
    assert complete
    assert [row.sub_kind for row in rows] == ["Sell to Close", "Assignment", "Dividend"]  # newest first
    assert state.balance.cash == 100_000 + 50 + 23_000 - rows[0].fees


async def test_the_statement_has_the_executions_too_each_with_its_order():
    paper = await opened(Kept(), from_et(MONDAY, 10))
    paper._quotes.set(CALL_230, 5.00, 5.10)
    answer = await paper.place(buy())
    paper._clock.advance(1)
    await paper.on_market(paper._clock.now())
    (row,), _ = await paper.transactions(MONDAY)
    assert (row.kind, row.order_id, row.quantity, row.value) == ("Trade", answer.broker_id, 2, -1020)
    assert row.net_value == row.value - row.fees
    assert statement(paper._book, date(2026, 3, 3)) == ()
