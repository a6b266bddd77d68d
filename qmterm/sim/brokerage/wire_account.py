"""The account's objects as tastytrade's JSON: balance, positions, transactions, status, margin.

The trap: the stream's balance event is parsed by the same strict model as the REST answer, so it must be complete.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from qmterm.core.clock import NS_PER_MS, et_date
from qmterm.core.instruments import is_option, underlying_of
from qmterm.sim.brokerage.book import Book, Position, Transaction
from qmterm.sim.brokerage.margin import Requirement, Standing
from qmterm.sim.brokerage.wire import VENUE, Json, effect_word, money, signed, stamp
from qmterm.sim.brokerage.world import BrokerageWorld, price_of

_ZERO = Decimal(0)
_OPENED = "2020-01-02T14:30:00.000+00:00"
# What an options-and-stock account never has.
_ALWAYS_ZERO = [
    "long-futures-value",
    "short-futures-value",
    "long-futures-derivative-value",
    "short-futures-derivative-value",
    "futures-margin-requirement",
    "maintenance-call-value",
    "reg-t-call-value",
    "day-trading-call-value",
    "day-equity-call-value",
    "day-trade-excess",
    "pending-cash",
    "long-cryptocurrency-value",
    "short-cryptocurrency-value",
    "cryptocurrency-margin-requirement",
    "unsettled-cryptocurrency-fiat-amount",
    "closed-loop-available-balance",
    "equity-offering-margin-requirement",
    "long-bond-value",
    "bond-margin-requirement",
    "futures-overnight-margin-requirement",
    "futures-intraday-margin-requirement",
    "pending-margin-interest",
    "effective-cryptocurrency-buying-power",
    "buying-power-adjustment",
]
_WITH_EFFECT = ("pending-cash-effect", "unsettled-cryptocurrency-fiat-effect", "buying-power-adjustment-effect")


def render_account(account: str) -> Json:
    return {
        "account-number": account,
        "external-id": f"sim-{account}",
        "opened-at": _OPENED,
        "nickname": "Simulator",
        "account-type-name": "Individual",
        "day-trader-status": False,
        "is-closed": False,
        "is-firm-error": False,
        "is-firm-proprietary": False,
        "is-futures-approved": False,
        "is-test-drive": False,
        "margin-or-cash": "Margin",
        "is-foreign": False,
        "funding-date": "2020-01-02",
        "investment-objective": "SPECULATION",
        "suitable-options-level": "No Restrictions",
        "created-at": _OPENED,
    }


def render_balance(account: str, now: Standing, now_ns: int) -> Json:
    used = max(_ZERO, now.margin_equity - now.option_buying_power)
    figures = {
        "cash-balance": now.cash,
        "long-equity-value": now.long_stock,
        "short-equity-value": now.short_stock,
        "long-derivative-value": now.long_options,
        "short-derivative-value": now.short_options,
        "long-margineable-value": now.long_stock,
        "short-margineable-value": now.short_stock,
        "margin-equity": now.margin_equity,
        "equity-buying-power": now.stock_buying_power,
        "derivative-buying-power": now.option_buying_power,
        "day-trading-buying-power": now.stock_buying_power,
        "available-trading-funds": now.option_buying_power,
        "maintenance-requirement": now.maintenance,
        "net-liquidating-value": now.net_liquidating_value,
        "cash-available-to-withdraw": max(_ZERO, min(now.cash, now.option_buying_power)),
        "used-derivative-buying-power": used,
        "reg-t-margin-requirement": now.initial,
        "maintenance-excess": now.margin_equity - now.maintenance,
        "cash-settle-balance": now.cash,
    }
    return {
        "account-number": account,
        "currency": "USD",
        "snapshot-date": et_date(now_ns).isoformat(),
        "updated-at": stamp(now_ns),
        **{name: money(amount) for name, amount in figures.items()},
        **dict.fromkeys(_ALWAYS_ZERO, "0.0"),
        **dict.fromkeys(_WITH_EFFECT, "None"),
    }


def render_position(account: str, position: Position, world: BrokerageWorld, with_marks: bool = True) -> Json:
    symbol, quantity = position.symbol, position.quantity
    mark = price_of(world, symbol)
    close = world.previous_close(symbol)
    today = et_date(world.now_ns)
    realized = position.realized_today if position.realized_on == today else _ZERO
    body: Json = {
        "account-number": account,
        "symbol": symbol,
        "instrument-type": "Equity Option" if is_option(symbol) else "Equity",
        "underlying-symbol": underlying_of(symbol),
        "quantity": abs(quantity),
        "quantity-direction": "Long" if quantity > 0 else "Short" if quantity < 0 else "Zero",
        "close-price": money(Decimal(str(round(close, 4)))) if close else "0.0",
        "average-open-price": money(position.average_open_price),
        "average-daily-market-close-price": money(Decimal(str(round(close, 4)))) if close else "0.0",
        "multiplier": position.multiplier,
        "cost-effect": "Credit" if quantity > 0 else "Debit" if quantity < 0 else "None",
        "is-suppressed": False,
        "is-frozen": False,
        "restricted-quantity": 0,
        **signed("realized-day-gain", realized),
        "realized-day-gain-date": today.isoformat(),
        **signed("realized-today", realized),
        "realized-today-date": today.isoformat(),
        "created-at": stamp(position.created_ns),
        "updated-at": stamp(position.updated_ns),
    }
    contract = world.contract(symbol) if is_option(symbol) else None
    if contract is not None:
        body["expires-at"] = stamp(world.calendar.expiry_ns(contract.expiry))
    if with_marks and mark is not None:
        body["mark-price"] = money(mark)
        body["mark"] = money(mark * position.multiplier * abs(quantity))
    return body


def render_transaction(account: str, row: Transaction) -> Json:
    body: Json = {
        "id": row.transaction_id,
        "account-number": account,
        "transaction-type": row.kind,
        "transaction-sub-type": row.sub_kind,
        "description": row.description,
        "executed-at": stamp(row.time_ns),
        "transaction-date": et_date(row.time_ns).isoformat(),
        **signed("value", row.value),
        **signed("net-value", row.net_value),
        "is-estimated-fee": True,
    }
    if row.symbol is not None:
        body |= {
            "symbol": row.symbol,
            "instrument-type": "Equity Option" if is_option(row.symbol) else "Equity",
            "underlying-symbol": underlying_of(row.symbol),
            "quantity": money(Decimal(row.quantity)),
        }
    if row.action is not None:
        body["action"] = row.action.value
    if row.price is not None:
        body["price"] = money(row.price)
        body |= {
            **signed("regulatory-fees", -row.fees.regulatory),
            **signed("clearing-fees", -row.fees.clearing),
            **signed("commission", -row.fees.commission),
            **signed("proprietary-index-option-fees", -row.fees.proprietary),
        }
    if row.order_id is not None:
        body |= {"order-id": row.order_id, "destination-venue": VENUE}
    if row.execution_id is not None:
        body |= {"ext-exec-id": row.execution_id, "exec-id": row.execution_id}
    return body


def total_fees(book: Book, day: date) -> Json:
    paid = sum((row.fees.total for row in book.transactions if et_date(row.time_ns) == day), _ZERO)
    return signed("total-fees", -paid)


def render_trading_status(account: str, now_ns: int) -> Json:
    no = [
        "has-intraday-equities-margin",
        "is-aggregated-at-clearing",
        "is-closed",
        "is-closing-only",
        "is-cryptocurrency-enabled",
        "is-frozen",
        "is-full-equity-margin-required",
        "is-futures-closing-only",
        "is-futures-intra-day-enabled",
        "is-futures-enabled",
        "is-in-day-trade-equity-maintenance-call",
        "is-in-margin-call",
        "is-pattern-day-trader",
        "is-small-notional-futures-intra-day-enabled",
        "is-roll-the-day-forward-enabled",
        "is-portfolio-margin-enabled",
        "are-far-otm-net-options-restricted",
        "is-equity-offering-enabled",
        "is-equity-offering-closing-only",
        "is-risk-reducing-only",
    ]
    return {
        "account-number": account,
        "id": 1,
        "day-trade-count": 0,
        "equities-margin-calculation-type": "Reg T",
        "fee-schedule-name": "default",
        "futures-margin-rate-multiplier": "0.0",
        "small-notional-futures-margin-rate-multiplier": "0.0",
        "options-level": "No Restrictions",
        "short-calls-enabled": True,
        **dict.fromkeys(no, False),
        "updated-at": stamp(now_ns),
    }


def render_margin(account: str, now: Standing, rows: list[Requirement], now_ns: int) -> Json:
    return {
        "account-number": account,
        "description": "Total",
        "margin-calculation-type": "Reg T",
        "option-level": "No Restrictions",
        **signed("margin-requirement", -now.initial),
        **signed("initial-requirement", -now.initial),
        **signed("maintenance-requirement", -now.maintenance),
        **signed("margin-equity", now.margin_equity),
        **signed("option-buying-power", now.option_buying_power),
        **signed("reg-t-margin-requirement", -now.initial),
        **signed("reg-t-option-buying-power", now.option_buying_power),
        **signed("maintenance-excess", now.margin_equity - now.maintenance),
        "groups": [
            {
                "description": row.underlying,
                "code": row.underlying,
                "underlying-symbol": row.underlying,
                "underlying-type": "Equity",
                "margin-calculation-type": "Reg T",
                **signed("margin-requirement", -row.initial),
                **signed("initial-requirement", -row.initial),
                **signed("maintenance-requirement", -row.maintenance),
                "buying-power": money(row.initial),
                "buying-power-effect": effect_word(-row.initial),
            }
            for row in rows
        ],
        "last-state-timestamp": now_ns // NS_PER_MS,
    }


def render_net_liq(ns: int, value: Decimal) -> Json:
    price = money(value)
    sides = ("open", "high", "low", "close")
    return {
        **dict.fromkeys(sides, price),
        **{f"pending-cash-{side}": "0.0" for side in sides},
        **{f"total-{side}": price for side in sides},
        "time": stamp(ns)[:19].replace("T", " ") + "+00",
    }
