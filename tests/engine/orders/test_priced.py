"""An order keeps the quotes that priced it, at decision and at send, and can be priced again from them alone."""

import json
from datetime import date
from types import SimpleNamespace

import pytest

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import NS, from_et
from qmterm.core.errors import BadInput
from qmterm.core.orders import Action, Leg
from qmterm.engine.orders.priced import PricedBy, quote_lines
from qmterm.engine.show.trail import trail_lines
from qmterm.journal.journal import Journal
from qmterm.market.board.board import Board
from qmterm.market.chains.chains import Chains
from qmterm.market.quality.watch import QualityWatch
from qmterm.market.records import Dividend
from qmterm.quant.options import american
from qmterm.quant.options.dividends import DividendTable
from tests.engine.fakes import OCC, clock_at, entry
from tests.engine.house import opened, plan

CALENDAR = SessionCalendar.load(date(2026, 1, 1), date(2026, 12, 31))
LEGS = (Leg(OCC, Action.BUY_TO_OPEN, 2),)


def market(clock):
    """NVDA at 178, its 175 call at 8.10 x 8.20, two seconds old."""
    board = Board(["NVDA"])
    board.start_session(from_et(date(2026, 3, 2), 9, 30), from_et(date(2026, 3, 2), 16, 0))
    made = clock.now() - 2 * NS
    stocks, options = board.stocks, board.options
    stocks.last[0], stocks.trade_ns[0] = 178.0, made
    options.add([OCC])
    for table, numbers in ((stocks, (177.9, 178.1, 300, 200)), (options, (8.1, 8.2, 11, 12))):
        table.quote_ns[0] = made
        table.bid[0], table.ask[0], table.bid_size[0], table.ask_size[0] = numbers
    quality = QualityWatch(board)
    chains = Chains(SimpleNamespace(delayed=False), board, CALENDAR, quality)
    return board, PricedBy(board, quality, chains, clock, "sim")


def priced_again(leg):
    return float(
        american.price(
            leg["spot"], leg["strike"], leg["years"], leg["rate"], leg["dividend_yield"], leg["iv"], leg["right"] == "C"
        )
    )


def test_the_evidence_names_every_number_with_its_age_and_code():
    clock = clock_at()
    _, priced = market(clock)
    found = json.loads(json.dumps(priced.of(LEGS, "NVDA")))
    assert (found["time_ns"], found["source"]) == (clock.now(), "sim")
    (leg,) = found["legs"]
    assert {name: leg[name] for name in ("bid", "ask", "bid_size", "ask_size", "age_s", "code")} == {
        "bid": 8.1, "ask": 8.2, "bid_size": 11, "ask_size": 12, "age_s": 2.0, "code": "OK",
    }  # fmt: skip
    assert (leg["spot"], leg["spot_age_s"], leg["spot_code"]) == (178.0, 2.0, "OK")
    stock = found["underlying"]
    assert (stock["symbol"], stock["bid"], stock["ask"], stock["code"], stock["price_code"]) == (
        "NVDA", 177.9, 178.1, "OK", "OK",
    )  # fmt: skip
    assert priced_again(leg) == pytest.approx(8.15, abs=1e-6)


def test_what_was_not_known_is_null_with_its_code():
    clock = clock_at()
    board, priced = market(clock)
    board.options.bid[0] = 0.0
    board.stocks.trade_ns[0] = board.stocks.quote_ns[0] = clock.now() - 500 * NS
    (leg,) = priced.of(LEGS, "NVDA")["legs"]
    assert (leg["iv"], leg["code"], leg["spot_code"]) == (None, "ZERO_BID", "STALE_UNDERLYING")
    (unquoted,) = priced.of((Leg("NVDA  260417C00180000", Action.BUY_TO_OPEN, 1),), "NVDA")["legs"]
    assert (unquoted["code"], unquoted["iv"], "bid" in unquoted) == ("NO_QUOTE", None, False)


async def test_an_order_in_the_journal_can_be_priced_again_from_what_is_stored(tmp_path):
    clock = clock_at()
    board, priced = market(clock)
    journal = await Journal.open(tmp_path / "journal.sqlite", clock)
    decided = priced.quoted(LEGS, "NVDA")
    clock.advance(3)
    board.options.bid[0], board.options.ask[0], board.options.quote_ns[0] = 8.4, 8.6, clock.now()
    await journal.write_intent(entry(), {"decided": decided})
    journal.note("priced", "qm-1", {"quotes": {"sent": priced.of(LEGS, "NVDA")}}, clock.now())
    rows = await journal.why("qm-1")
    state = await journal.load()
    await journal.close()
    intent, left = (row.body for row in rows if row.kind in ("intent", "priced"))
    assert intent["quotes"]["decided"]["legs"][0]["bid"] == 8.1
    assert priced_again(left["quotes"]["sent"]["legs"][0]) == pytest.approx(8.50, abs=1e-6)
    assert [order.intent for order in state.orders] == [entry()]  # recovery reads the order as before
    lines = trail_lines(rows)
    assert "  decided: NVDA  260417C00175000: 8.10 x 8.20 (11 x 12), 2.0 s old" in lines
    (sent,) = [line for line in lines if "8.40 x 8.60" in line]
    assert sent.startswith(
        "  sent: NVDA  260417C00175000: 8.40 x 8.60 (11 x 12), 0.0 s old, OK; spot 178.00 (5.0 s, NVDA), IV "
    )


async def test_the_desk_asks_at_decision_and_again_at_send_and_people_can_read_both():
    asked = []

    def priced(legs, underlying):
        asked.append(underlying)
        return {"legs": [{"symbol": legs[0].symbol, "bid": len(asked)}]}

    async with opened() as house:
        house.desk.priced = house.desk.quoted = priced
        house.trader.open(plan(), 0.0)
        await house.lanes.idle()
    (decided,) = [quotes for quotes in house.journal.quotes.values() if quotes]
    ((kind, subject, left, _),) = [note for note in house.journal.notes if note[0] == "priced"]
    assert asked == ["NVDA"] * 3  # the decision row, the order's decision, when it had left
    assert (kind, subject) == ("priced", "eP1")
    assert decided["decided"]["legs"][0]["bid"] == 2
    assert left["quotes"]["sent"]["legs"][0]["bid"] == 3


def test_what_an_order_waits_for_is_the_quotes_and_their_ages_alone():
    clock = clock_at()
    board, priced = market(clock)
    blind = PricedBy(board, None, None, clock, "sim")  # neither judged nor priced
    found = blind.quoted((*LEGS, Leg("NVDA  260417C00180000", Action.BUY_TO_OPEN, 1)), "NVDA")
    whole = priced.of(LEGS, "NVDA")
    leg, unquoted = found["legs"]
    assert leg == {name: whole["legs"][0][name] for name in leg}
    assert (leg["bid"], leg["ask"], leg["age_s"]) == (8.1, 8.2, 2.0)
    assert unquoted == {"symbol": "NVDA  260417C00180000"}
    assert found["underlying"] == {name: whole["underlying"][name] for name in found["underlying"]}
    assert (found["time_ns"], found["source"]) == (whole["time_ns"], "sim")
    assert [line.count("code") + line.count("IV") for line in quote_lines({"quotes": {"decided": found}})] == [0, 0, 0]


def test_rows_without_quotes_have_no_lines():
    assert quote_lines({"text": "x"}) == []
    assert quote_lines({"numbers": {"cap": 1}}) == []
    assert len(quote_lines({"numbers": {"quotes": {"legs": [{"symbol": "NVDA", "code": "OK"}]}}})) == 1


def test_the_dividends_behind_a_volatility_are_kept_with_it():
    clock = clock_at()
    _, priced = market(clock)
    priced.pricer.cash.set("NVDA", [Dividend("NVDA", date(2026, 3, 20), 0.9, None, 4, "CD")])
    (leg,) = json.loads(json.dumps(priced.of(LEGS, "NVDA")))["legs"]
    assert [amount for _, amount in leg["dividends"]] == [0.9]
    numbers = (leg["spot"], leg["strike"], leg["years"], leg["rate"], leg["dividend_yield"], leg["iv"], True)
    table = DividendTable.shared([tuple(pair) for pair in leg["dividends"]])
    assert float(american.price(*numbers, table)) == pytest.approx(8.15, abs=1e-3)
    assert float(american.price(*numbers)) != pytest.approx(8.15, abs=0.05)


def test_numbers_that_cannot_be_had_hold_no_order_back():
    def broken(symbol, now_ns):
        raise BadInput("the calendar ends before this expiry")

    clock = clock_at()
    board, priced = market(clock)
    blind = PricedBy(board, priced.judge, SimpleNamespace(leg_numbers=broken), clock, "sim")
    (leg,) = blind.of(LEGS, "NVDA")["legs"]
    assert (leg["bid"], leg["not_known"]) == (8.1, "the calendar ends before this expiry")


@pytest.mark.parametrize(("propose", "asks"), [(False, "quoted"), (True, "priced")])
async def test_a_proposal_waits_for_nobody_and_has_all_of_it_at_once(propose, asks):
    asked = []
    async with opened() as house:
        house.desk.quoted = lambda legs, underlying: asked.append("quoted")
        house.desk.priced = lambda legs, underlying: asked.append("priced")
        house.trader.open(plan(), 0.0, propose=propose)
        assert asked[0] == asks
