"""What the paper account's positions hold back of its buying power: Reg-T, as the gate estimates it (QUANT.md 5.2).

The trap: the pairing sees no dates, so it is asked expiry by expiry, and what it cannot pair over dates (a calendar
spread) is left to the width rule, which can; each is never too low, so the smaller one counts. Without a price of the
stock only the width rule is left, and shares count as paid in full.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from qmterm.broker.paper_book import short_requirement
from qmterm.core.instruments import OptionContract, Right, is_option, option_root, parse_option
from qmterm.core.orders import BrokerPosition
from qmterm.core.settlement import CASH_SETTLED_ROOTS
from qmterm.quant.book.legs import Leg, option_leg, stock_leg
from qmterm.quant.book.margin import EQUITY_TASTY, TASTY_INDEX
from qmterm.quant.book.margin_pairing import estimate_margin

ZERO = Decimal(0)
CENT = Decimal("0.01")
SHORT_SHARES = Decimal("1.5")  # of their price where nobody quotes them now
Price = Callable[[str], Decimal | None]  # dollars a share, None where nobody quotes


@dataclass(frozen=True, slots=True)
class Held:
    """Dollars: what is held back, and what shares are worth (they stand against it; sold ones are in the cash)."""

    requirement: Decimal
    shares: Decimal


def held_back(positions: Iterable[BrokerPosition], price: Price) -> Held:
    """Of the whole account, stock by stock."""
    by_root: defaultdict[str, list[BrokerPosition]] = defaultdict(list)
    for position in positions:
        symbol = position.symbol
        by_root[parse_option(symbol).root if is_option(symbol) else option_root(symbol)].append(position)
    parts = [_of_stock(root, rows, price) for root, rows in by_root.items()]
    return Held(sum((p.requirement for p in parts), ZERO), sum((p.shares for p in parts), ZERO))


def _of_stock(root: str, rows: list[BrokerPosition], price: Price) -> Held:
    stock = next((row for row in rows if not is_option(row.symbol)), None)
    options = [(parse_option(row.symbol), row) for row in rows if is_option(row.symbol)]
    spot = price(root if stock is None else stock.symbol)
    shares = 0 if stock is None else stock.quantity
    if spot is None:
        cost = ZERO if stock is None else stock.average_open_price
        return Held(short_requirement(rows) + max(0, -shares) * cost * SHORT_SHARES, ZERO)
    worth = max(0, shares) * spot
    alone = _paired(root, [], shares, spot, price)
    widths = short_requirement(rows) + (alone or ZERO)
    paired = _by_expiry(root, options, shares, spot, price)
    return Held(widths if paired is None else min(paired, widths), worth)


def _by_expiry(
    root: str, options: list[tuple[OptionContract, BrokerPosition]], shares: int, spot: Decimal, price: Price
) -> Decimal | None:
    """Nearest first; each expiry has its sold calls covered by the shares that are left. None: cannot be estimated."""
    total, left = ZERO, shares
    groups: defaultdict[date, list[tuple[OptionContract, BrokerPosition]]] = defaultdict(list)
    for contract, row in options:
        groups[contract.expiry].append((contract, row))
    for expiry in sorted(groups):
        sold = sum(-row.quantity for c, row in groups[expiry] if c.right is Right.CALL and row.quantity < 0)
        given = min(sold * 100, left // 100 * 100) if left > 0 else 0
        asked = _paired(root, groups[expiry], given, spot, price)
        if asked is None:
            return None
        total, left = total + asked, left - given
    rest = _paired(root, [], left, spot, price)
    return None if rest is None else total + rest


def _paired(
    root: str, options: list[tuple[OptionContract, BrokerPosition]], shares: int, spot: Decimal, price: Price
) -> Decimal | None:
    legs: list[Leg] = [stock_leg(shares / 100, float(spot))] if shares else []
    for contract, row in options:
        mark = price(row.symbol)
        premium = float(row.average_open_price if mark is None else mark)
        legs.append(option_leg(contract.right is Right.CALL, row.quantity, float(contract.strike), premium))
    if not legs:
        return ZERO
    profile = TASTY_INDEX if root in CASH_SETTLED_ROOTS else EQUITY_TASTY
    found = estimate_margin(legs, float(spot), profile)
    if found.margin is None:
        return None
    return Decimal(str(sum(piece.requirement for piece in found.pieces))).quantize(CENT)
