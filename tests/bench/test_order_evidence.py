"""A measured order carries the evidence that a real one does, from production's own board."""

from types import SimpleNamespace

import pytest

from qmterm.bench.order_evidence import OrderEvidence
from qmterm.core.orders import Action, Leg
from qmterm.core.quotes import Quote
from qmterm.drill.market import START_NS, call
from tests.engine.fakes import clock_at

OCC = call("NVDA", 0)
LEGS = (Leg(OCC, Action.BUY_TO_OPEN, 1),)


def quote(symbol, bid, ask):
    return Quote(symbol, bid, ask, 9, 8, START_NS, START_NS)


def test_the_desk_gets_the_quotes_of_the_market_that_is_shown_and_what_they_are_worth():
    desk, evidence = SimpleNamespace(), OrderEvidence(clock_at())
    evidence.behind(desk)
    evidence.show((quote("NVDA", 177.99, 178.01), quote(OCC, 8.1, 8.2)))
    (quoted,), (priced,) = desk.quoted(LEGS, "NVDA")["legs"], desk.priced(LEGS, "NVDA")["legs"]
    assert (quoted["bid"], quoted["ask"]) == (8.1, 8.2)
    assert (priced["code"], priced["spot"], priced["iv_status"]) == ("OK", 178.0, "OK")
    evidence.show((quote("NVDA", 178.09, 178.11), quote(OCC, 8.2, 8.3)))
    assert desk.quoted(LEGS, "NVDA")["underlying"]["bid"] == 178.09
    assert desk.priced(LEGS, "NVDA")["legs"][0]["spot"] == pytest.approx(178.1)
