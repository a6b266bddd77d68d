"""The judge is no ornament: with one safety taken out of the engine, the drill says what went wrong."""

from dataclasses import replace
from decimal import Decimal

import pytest

from qmterm.core.orders import OrderState
from qmterm.core.settings.risk import RiskSettings
from qmterm.drill import house
from qmterm.drill.script import script_of
from qmterm.engine.orders import desk as desk_module
from qmterm.engine.orders.book import Book
from qmterm.engine.orders.desk import OrderDesk
from qmterm.engine.proof import Proof
from qmterm.risk.book import RiskBook

FLATTENING = [seed for seed in range(60) if any(act.kind == "flatten" for act in script_of(seed).acts)][:12]


@pytest.fixture
def counted(drill):
    """How often one thing went wrong in some seeds."""

    def count(what, name, seeds=range(6)):
        return sum(outcome.findings.counts[what] for outcome in drill(name, seeds))

    return count


def test_an_order_that_is_sent_again_after_silence_is_seen_as_a_duplicate(counted, monkeypatch):
    once = OrderDesk._place

    async def twice(self, record):
        await once(self, record)
        if record.state is OrderState.UNKNOWN:
            await once(self, record)

    monkeypatch.setattr(OrderDesk, "_place", twice)
    assert counted("duplicate_orders", "ack-lost-after") > 0


def test_an_order_sent_before_its_intent_is_on_disk_is_seen(counted, monkeypatch):
    async def send_first(self, record, still_wanted, beside=None):
        await self._place(record)
        await self._journal.write_intent(record.intent)
        if beside is not None:
            await beside

    monkeypatch.setattr(OrderDesk, "send", send_first)
    assert counted("orders_without_intent", "crash", range(40)) > 0


def test_a_fill_that_is_not_counted_is_seen(counted, monkeypatch):
    monkeypatch.setattr(desk_module, "new_fills", lambda record, order: list(order.fills)[:1])
    assert counted("lost_fills", "partial") > 0


def test_a_fill_that_is_kept_under_two_names_is_seen(counted, monkeypatch):
    count = OrderDesk._count

    async def again(self, record, fill):
        await count(self, record, fill)
        await count(self, record, replace(fill, fill_id=f"{fill.fill_id}#again"))

    monkeypatch.setattr(OrderDesk, "_count", again)
    assert counted("doubled_fills", "double-frame", range(3)) > 0


def test_a_book_that_forgets_is_seen(counted, monkeypatch):
    monkeypatch.setattr(Book, "cash", property(lambda self: self.starting_cash + self.flows + Decimal(1)))
    assert counted("position_differences", "crash", range(8)) > 0


def test_an_open_against_what_is_held_lets_a_close_open(counted, monkeypatch):
    monkeypatch.setattr(RiskBook, "crossed", lambda self, strategy, symbol, sign: "")
    assert counted("closes_that_opened", "race", [2]) > 0


def test_an_entry_beyond_the_limits_is_seen(counted, monkeypatch):
    loose = RiskSettings(max_trade_risk=0.5, max_symbol_risk=0.6, max_strategy_risk=0.9, cash_reserve=0.0)
    monkeypatch.setattr(house, "RISK", loose)
    assert counted("limit_breaches", "partial") > 0


def test_an_engine_that_calls_itself_flat_too_early_is_seen(counted, monkeypatch):
    monkeypatch.setattr(Proof, "confirmed", property(lambda self: True))
    assert counted("position_differences", "all", FLATTENING) > 0


def test_a_flatten_that_is_not_through_and_names_nothing_is_seen(counted, monkeypatch):
    monkeypatch.setattr(Proof, "left", "")
    assert counted("position_differences", "all", FLATTENING) > 0
