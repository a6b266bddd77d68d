"""What the account itself refuses, with its numbers; a close is never asked."""

from __future__ import annotations

from decimal import Decimal

import pytest

from qmterm.core.account import AccountFlags
from qmterm.core.reasons import Reason
from qmterm.core.settings.risk import RiskSettings
from qmterm.risk.account_rules import account_refusal
from qmterm.risk.verdict import Refusal
from tests.risk.plans import CALL, HIGHER, PUT, book, plan

CASH, PDT, MARGIN = "cash", "legacy_pdt", "intraday_margin"
RESTRICTED = Reason.ACCOUNT_RESTRICTED
NO_SALES = Refusal(RESTRICTED, {}, "a cash account sells no options without cover")
FROZEN = Refusal(RESTRICTED, {}, "the account is frozen")
NO_CALLS = Refusal(RESTRICTED, {}, "it may not sell calls")


def used(count, most):
    return Refusal(Reason.DAY_TRADES, {"day_trades": float(count), "day_trades_most": float(most)})


@pytest.mark.parametrize(
    ("the_plan", "in_book", "flags", "settings", "refusal"),
    [
        (plan(), {}, {}, {}, None),
        (plan(), {}, {"frozen": True}, {}, FROZEN),
        (plan((CALL, -1)), {}, {"frozen": True}, {"day_trade_mode": CASH}, FROZEN),
        # what a cash account sells
        (plan((CALL, -1)), {}, {}, {"day_trade_mode": CASH}, NO_SALES),
        (plan((CALL, 1), (HIGHER, -1)), {}, {}, {"day_trade_mode": CASH}, NO_SALES),
        (plan((CALL, 1)), {}, {}, {"day_trade_mode": CASH}, None),
        (plan((CALL, -1)), {}, {}, {"day_trade_mode": MARGIN}, None),
        # calls that may not be sold
        (plan((CALL, -1)), {}, {"short_calls": False}, {}, NO_CALLS),
        (plan((CALL, 1), (HIGHER, -1)), {}, {"short_calls": False}, {}, NO_CALLS),
        (plan((PUT, -1)), {}, {"short_calls": False}, {}, None),
        (plan((CALL, 1)), {}, {"short_calls": False}, {}, None),
        (plan((CALL, 1), (PUT, -1)), {}, {"short_calls": False}, {}, None),
        # day trades: the larger count, the smaller allowance
        (plan(), {"day_trades": 3}, {}, {"day_trade_mode": PDT, "max_day_trades": 9}, None),
        (plan(), {"day_trades": 2, "nlv": Decimal(24_999)}, {}, {"day_trade_mode": PDT}, None),
        (plan(), {"day_trades": 3, "nlv": Decimal(24_999)}, {}, {"day_trade_mode": PDT}, used(3, 3)),
        (plan(), {"day_trades": 5, "nlv": Decimal(24_999)}, {}, {"day_trade_mode": PDT}, used(5, 3)),
        (plan(), {"day_trades": 3, "nlv": Decimal(25_000)}, {}, {"day_trade_mode": PDT}, None),
        (plan(), {"day_trades": 3, "nlv": None}, {}, {"day_trade_mode": PDT}, None),
        (plan(), {"day_trades": 3, "nlv": Decimal(24_999)}, {}, {"day_trade_mode": MARGIN}, None),
        (plan(), {"nlv": Decimal(9)}, {"day_trade_count": 3}, {"day_trade_mode": PDT}, used(3, 3)),
        (plan(), {"nlv": Decimal(9), "day_trades": 4}, {"day_trade_count": 3}, {"day_trade_mode": PDT}, used(4, 3)),
        (plan(), {"nlv": Decimal(9), "day_trades": 1}, {}, {"day_trade_mode": PDT, "max_day_trades": 1}, used(1, 1)),
        (plan(), {"day_trades": 2}, {}, {"max_day_trades": 2}, used(2, 2)),
        (plan(), {"day_trades": 1}, {}, {"max_day_trades": 2}, None),
        (plan(), {}, {}, {"max_day_trades": 1}, None),
        (plan(), {}, {}, {"max_day_trades": 0}, used(0, 0)),
    ],
)  # fmt: skip
def test_the_account_is_answered_exactly(the_plan, in_book, flags, settings, refusal):
    assert account_refusal(the_plan, book(**in_book), AccountFlags(**flags), RiskSettings(**settings)) == refusal
