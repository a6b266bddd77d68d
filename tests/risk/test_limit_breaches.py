"""No limit is broken by any subset of working and unknown orders filling, over random books and random orders.

And the search is no ornament: with one guard taken out it names what broke. The long form is issue 5's own: 100,000
books (`python -m pytest -n 0 -m drill tests/risk/test_limit_breaches.py -s`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from time import process_time

import pytest

from qmterm.core.orders import OrderState
from qmterm.core.reasons import Reason
from qmterm.engine import trader as trader_module
from qmterm.engine.orders import fillable as fillable_module
from qmterm.engine.orders import resting as resting_module
from qmterm.engine.orders.edits import Edits
from qmterm.engine.orders.ledger import Ledger, OrderRecord
from qmterm.risk import gate as gate_module
from qmterm.risk.gate import Gate
from qmterm.risk.verdict import Verdict
from tests.risk.random_books import RandomAccount

STEPS = 16
MANY = 1500  # books in which a missing guard must be seen


def run(seeds):
    did, failed = Counter(), []
    for seed in seeds:
        account = RandomAccount(seed)
        account.live(STEPS)
        did.update(account.did)
        did["approved"] += account.approved
        did["refused"] += account.refused
        if account.breaches:
            failed.append((seed, account.breaches, account.story))
    return did, failed


def test_no_subset_of_fills_breaks_a_limit():
    did, failed = run(range(300))
    assert failed == []
    assert did["approved"] > 900  # the gate is no wall
    assert did["refused"] > 900  # and no door
    for deed in ("plan", "ticket Market", "ticket Stop", "close Market", "close Stop", "exit", "roll", "edit", "step"):
        assert sum(times for what, times in did.items() if what.startswith(deed)) > 0, deed


# A roll judged as somebody else's trade, and exits put to rest on what a roll made the cover of something sold.
BROKE_ONCE = (22424, 53024, 77707, 90711, 92401)


def test_days_that_broke_a_limit_once_keep_them_all():
    did, failed = run(BROKE_ONCE)
    assert failed == []
    assert did["approved"] > 0


@pytest.mark.drill
@pytest.mark.timeout(0)
def test_drill_a_hundred_thousand_books():
    began = process_time()
    did, failed = run(range(100_000))
    each = (process_time() - began) / 100_000 * 1000
    orders = f"{did['approved']:,} orders approved, {did['refused']:,} refused"
    print(f"\n100,000 books, {orders}, {len(failed)} with a breach, {each:.2f} ms a book")
    assert failed == []


# --- one guard taken out, and the breach is named ---


def named(word, seeds=range(MANY)):
    """The first breach that says this."""
    for seed in seeds:
        account = RandomAccount(seed)
        account.live(STEPS)
        for breach in account.breaches:
            if word in breach:
                return breach
    return None


def test_sizes_that_no_limit_sets_are_named(monkeypatch):
    sized = gate_module.size

    def unlimited(*rest, **more):
        return replace(sized(*rest, **more), contracts=400, binding=Reason.LIMIT_CONTRACTS)

    monkeypatch.setattr(gate_module, "size", unlimited)
    assert named("NLV")
    assert named("cash")


def test_a_pair_of_which_only_the_cheaper_order_counts_is_named(monkeypatch):
    monkeypatch.setattr(
        fillable_module,
        "parts_of_chain",
        lambda chain, parts: min(map(parts, chain), key=lambda of: of[0].paid),
    )
    assert named("counted")


def test_a_dearer_replacement_that_is_not_judged_is_named(monkeypatch):
    monkeypatch.setattr(Edits, "_affordable", lambda self, record, intent: intent)
    assert named("NLV")


def test_a_close_at_the_market_that_bares_what_it_covered_is_named(monkeypatch):
    exposed = Gate._exposed

    def only_with_a_limit(self, intent, *rest):
        return None if intent.counted_price is None else exposed(self, intent, *rest)

    monkeypatch.setattr(Gate, "_exposed", only_with_a_limit)
    assert named("no bound")


def test_a_roll_whose_open_is_not_judged_by_itself_is_named(monkeypatch):
    monkeypatch.setattr(trader_module, "roll_verdict", lambda *rest, wanted, **more: Verdict(wanted, None))
    assert named("no bound") or named("NLV")


def test_a_close_of_what_another_order_closes_already_is_named(monkeypatch):
    monkeypatch.setattr(Ledger, "closing", lambda self, symbol, resting=True: 0)
    assert named("closed by orders")


def test_exits_that_rest_and_do_not_count_are_named(monkeypatch):
    monkeypatch.setattr(Ledger, "dormant", lambda self, record: record.intent.rests)
    assert named("no bound") or named("closed by orders")


def test_an_exit_that_rests_on_the_cover_of_a_sold_option_is_named(monkeypatch):
    check = Gate.check_exit
    monkeypatch.setattr(
        Gate,
        "check_exit",
        lambda self, intent, *rest, **more: Verdict(1, None) if intent.rests else check(self, intent, *rest, **more),
    )
    part_of = resting_module.part_of
    monkeypatch.setattr(resting_module, "part_of", lambda *terms: replace(part_of(*terms), units=0))
    assert named("no bound")


def test_a_bought_option_whose_exits_may_sell_it_again_and_that_counts_as_a_hedge_is_named(monkeypatch):
    monkeypatch.setattr(fillable_module, "_sold_again", lambda record, ledger: False)
    assert named("counted")


def test_an_unknown_order_that_does_not_count_is_named(monkeypatch):
    working = OrderRecord.working
    monkeypatch.setattr(
        OrderRecord, "working", property(lambda self: working.fget(self) and self.state is not OrderState.UNKNOWN)
    )
    assert named("counted")
