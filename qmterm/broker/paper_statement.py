"""Bookings of the paper account that no order made: deliveries, removals, dividends; told as transactions.

The same shape as at the real broker: the position changes, and a line of the account's statement says why.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import date
from decimal import Decimal

from qmterm.broker.paper_book import PaperBook
from qmterm.core.clock import et_date
from qmterm.core.instruments import is_option
from qmterm.core.orders import Action, BrokerOrder, BrokerPosition, OrderState
from qmterm.core.transactions import Transaction

DELIVERY = "Receive Deliver"
MONEY = "Money Movement"
ZERO = Decimal(0)


def remove(book: PaperBook, symbol: str, quantity: int, why: str, now_ns: int, price: Decimal = ZERO) -> BrokerPosition:
    """Take contracts out of a position, towards zero, for `price` dollars a share (0: nothing is paid)."""
    change = -quantity if book.positions[symbol].quantity > 0 else quantity
    value = -change * 100 * price
    book.cash += value
    _note(book, DELIVERY, why, now_ns, symbol=symbol, quantity=Decimal(quantity), price=price or None, value=value)
    return book.shift(symbol, change, price)


def deliver(
    book: PaperBook, ticker: str, change: int, price: Decimal, fees: Decimal, now_ns: int
) -> tuple[BrokerPosition, Action]:
    """Shares against cash; the action is that of the stock trade it equals."""
    position = book.positions.get(ticker)
    held = 0 if position is None else position.quantity
    if change > 0:
        action = Action.BUY_TO_CLOSE if held < 0 else Action.BUY_TO_OPEN
    else:
        action = Action.SELL_TO_CLOSE if held > 0 else Action.SELL_TO_OPEN
    value = -change * price
    book.cash += value - fees
    _note(
        book, DELIVERY, action.value, now_ns, symbol=ticker, quantity=Decimal(abs(change)), price=price, value=value,
        fees=fees,
    )  # fmt: skip
    return book.shift(ticker, change, price), action


def swap(book: PaperBook, old: str, new: str, quantity: int, average: Decimal, why: str, now_ns: int) -> None:
    """A position under its new symbol, size and average price; no cash moves."""
    multiplier = 100 if is_option(old) else 1
    del book.positions[old]
    if quantity:
        book.positions[new] = BrokerPosition(new, quantity, average, multiplier)
    _note(book, DELIVERY, why, now_ns, symbol=new, quantity=Decimal(abs(quantity)))


def pay(book: PaperBook, symbol: str, amount: Decimal, why: str, now_ns: int) -> None:
    """Dollars into the account, negative = out of it."""
    book.cash += amount
    _note(book, MONEY, why, now_ns, symbol=symbol, value=amount)


def _note(
    book: PaperBook,
    kind: str,
    sub_kind: str,
    now_ns: int,
    *,
    symbol: str,
    quantity: Decimal | None = None,
    price: Decimal | None = None,
    value: Decimal = ZERO,
    fees: Decimal = ZERO,
) -> None:
    number = f"b{book.next_fill}"
    book.next_fill += 1
    day = et_date(now_ns)
    book.transactions.append(
        Transaction(
            number, kind, sub_kind, symbol, None, quantity, price, value, value - fees, fees, False, day, now_ns
        )
    )


def statement(book: PaperBook, since: date) -> tuple[Transaction, ...]:
    """All bookings since a New York day, executions of the orders still shown among them, newest first."""
    rows = [row for row in book.transactions if row.day >= since]
    rows += [row for report in book.reports for row in _trades(report) if row.day >= since]
    return tuple(sorted(rows, key=lambda row: (row.time_ns, _number(row)), reverse=True))


def _trades(report: BrokerOrder) -> list[Transaction]:
    return [
        Transaction(
            fill.fill_id, "Trade", fill.action.value, fill.symbol, report.broker_id, Decimal(fill.quantity), fill.price,
            fill.cash_flow + fill.fees, fill.cash_flow, fill.fees, False, et_date(fill.time_ns), fill.time_ns,
        )
        for fill in report.fills
    ]  # fmt: skip


def _number(row: Transaction) -> int:
    digits = row.transaction_id.rsplit("-", 1)[-1].removeprefix("b")
    return int(digits) if digits.isdigit() else 0


def cancel_uncovered(book: PaperBook, symbols: Container[str], now_ns: int) -> list[BrokerOrder]:
    """Closing orders for more than is held any more are cancelled, youngest first: a close never becomes an open."""
    gone = []
    for order in reversed(book.working):
        for leg in order.intent.legs:
            if leg.symbol not in symbols:
                continue
            left = leg.quantity - sum(fill.quantity for fill in order.report.fills if fill.symbol == leg.symbol)
            if leg.action.opens or left <= book.closable(leg.symbol, leg.action, order.report.broker_id):
                continue
            why = "what it was to close is not held any more"
            gone.append(book.move(order, OrderState.CANCELLED, now_ns, why).report)
            break
    return gone
