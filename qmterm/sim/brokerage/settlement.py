"""What happens to options that expire: removal, exercise or assignment into stock, cash for indices.

The trap: all legs of one expiry settle at the one settlement price of their underlying, and not before it is known.
"""

from __future__ import annotations

from decimal import Decimal

from qmterm.core.clock import et_date
from qmterm.core.fees import INDEX_ROOTS, FeeBreakdown, delivery_fees
from qmterm.core.instruments import OptionContract, Right, is_option, parse_option
from qmterm.core.orders import Action
from qmterm.sim.brokerage.book import Book
from qmterm.sim.brokerage.world import BrokerageWorld

EXERCISED_FROM = Decimal("0.01")  # in the money by at least a cent


def settle_expired(book: Book, world: BrokerageWorld) -> list[str]:
    """Settle every expired option position whose settlement price is known; the symbols that went."""
    settled = []
    for symbol, quantity in book.holdings().items():
        if not is_option(symbol):
            continue
        contract = world.contract(symbol) or parse_option(symbol)
        if world.calendar.expiry_ns(contract.expiry) > world.now_ns:
            continue
        price = world.settlement(symbol)
        if price is None:
            continue
        _settle(book, contract, symbol, quantity, Decimal(str(round(price, 4))), world.now_ns)
        settled.append(symbol)
    return settled


def _settle(book: Book, contract: OptionContract, symbol: str, quantity: int, price: Decimal, now_ns: int) -> None:
    in_the_money = contract.right.sign * (price - contract.strike)
    if in_the_money < EXERCISED_FROM:
        book.remove(symbol, "Expiration", "Removal of option due to expiration", now_ns)
        return
    long = quantity > 0
    word = "Exercise" if long else "Assignment"
    if contract.root in INDEX_ROOTS:
        action = Action.SELL_TO_CLOSE if long else Action.BUY_TO_CLOSE
        book.trade(
            symbol,
            action,
            abs(quantity),
            in_the_money,
            FeeBreakdown(),
            now_ns,
            kind="Receive Deliver",
            description=f"Cash settlement of {symbol} due to {word.lower()}",
            multiplier=contract.multiplier,
        )
        return
    book.remove(symbol, word, f"Removal of option due to {word.lower()}", now_ns)
    buys = (contract.right is Right.CALL) == long
    held = book.quantity(contract.root)
    if buys:
        action = Action.BUY_TO_CLOSE if held < 0 else Action.BUY_TO_OPEN
    else:
        action = Action.SELL_TO_CLOSE if held > 0 else Action.SELL_TO_OPEN
    shares = abs(quantity) * contract.multiplier
    fees = delivery_fees(contract.root, buys, shares, contract.strike, et_date(now_ns))
    book.trade(
        contract.root,
        action,
        shares,
        contract.strike,
        fees,
        now_ns,
        kind="Receive Deliver",
        description=f"{action.value} {shares} {contract.root} @ {contract.strike}",
    )
