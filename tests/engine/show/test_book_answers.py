"""What `ctl positions|portfolio|expiry` answer: lines for a person, a document without NaN for a program."""

import json
from decimal import Decimal

from qmterm.engine.control import parse_verb
from qmterm.engine.show.book_answers import book_answer, expiry_answer, portfolio_answer, positions_answer
from qmterm.engine.view_portfolio import LotView, PortfolioView, ProfitView, TradeView
from tests.engine.fakes import OCC
from tests.ui.portfolio_view import CUTOFF, expiry_view, portfolio_view

LOT = LotView(OCC, "NVDA 17APR26 175C", 2, Decimal("4.10"), CUTOFF, "f1", None, None, Decimal("2.26"))
TRADE = TradeView("atr-matrix", "P1", "NVDA", CUTOFF, ProfitView(unrealized=None, net=None, unmarked=1), (LOT,))


class Look:
    def portfolio(self):
        return portfolio_view(trades=(TRADE,))

    def expiry(self):
        return (expiry_view(),)


def test_positions_are_grouped_by_strategy_and_trade_with_their_lots():
    answer = positions_answer(portfolio_view(trades=(TRADE,)))
    lines = answer.text.splitlines()
    assert lines[0].startswith("atr-matrix: realised +310.00 open +55.50 fees 6.78 net +358.72")
    assert lines[1].startswith("  NVDA P1: realised +0.00 open –")
    assert "1 lot(s) without a mark" in lines[1]
    assert lines[2] == "    +2 NVDA 17APR26 175C @ 4.10 02 Mar 15:30 mark – open – fees 2.26 fill f1"
    document = json.loads(json.dumps(answer.data, allow_nan=False))
    (lot,) = document["trades"][0]["lots"]
    assert (lot["price"], lot["mark"], lot["opened_ns"]) == (4.10, None, "2026-03-02T15:30:00-05:00")


def test_the_portfolio_says_everything_and_unknown_is_null():
    answer = portfolio_answer(portfolio_view(beta_delta=None, unknown={OCC: "NO_QUOTE"}))
    assert "beta-weighted delta – SPY shares" in answer.text
    assert "cornish-fisher 99% one day: VaR – ES – (UNRELIABLE)" in answer.text
    assert "(the broker: 6.79)" in answer.text
    assert f"{OCC}: not in the totals (NO_QUOTE)" in answer.text
    document = json.loads(json.dumps(answer.data, allow_nan=False))
    assert document["beta_delta"] is None
    assert document["stress"]["cells"][0][0] < 0
    assert document["strategies"][0]["free"] == 17757.90


def test_the_desks_lines_name_severity_plan_and_findings():
    answer = expiry_answer([expiry_view()])
    assert answer.text.splitlines()[0] == ("ALARM -1 AMD 02MAR26 130P 0 session(s) left | close: close before 15:30 ET")
    assert "PIN_RISK: the stock is 0.20" in answer.text
    (row,) = json.loads(json.dumps(answer.data, allow_nan=False))["rows"]
    assert (row["cutoff_ns"], row["shares"], row["cash"]) == ("2026-03-02T15:30:00-05:00", 100, -13000.0)


def test_an_empty_book_is_said_in_words():
    assert positions_answer(PortfolioView()).text == "no positions"
    assert expiry_answer([]).text == "no options held"


def test_each_verb_asks_for_its_part():
    for verb, start in (("positions", "atr-matrix"), ("portfolio", "3 positions"), ("expiry", "ALARM")):
        assert book_answer(parse_verb([verb]).what, Look()).text.startswith(start)
