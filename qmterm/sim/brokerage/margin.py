"""What positions tie up: a simple Reg-T reckoning of stock, spreads and naked shorts.

Long options cost their premium and count for nothing else; a short option is set against stock, then against the long
that makes it cheapest, else it is naked. The trap: of an iron condor only the dearer side counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from qmterm.core.fees import INDEX_ROOTS
from qmterm.core.instruments import OptionContract, Right, is_option
from qmterm.sim.brokerage.world import BrokerageWorld, price_of

_ZERO = Decimal(0)
INITIAL_STOCK = Decimal("0.50")
MAINTENANCE_STOCK = Decimal("0.25")
_EQUITY_RATES = (Decimal("0.20"), Decimal("0.10"), Decimal("2.50"))
_INDEX_RATES = (Decimal("0.25"), Decimal("0.15"), _ZERO)


@dataclass(frozen=True, slots=True)
class Requirement:
    """Dollars one underlying's positions tie up."""

    underlying: str
    initial: Decimal
    maintenance: Decimal


@dataclass(frozen=True, slots=True)
class Standing:
    """The account's figures at one moment, in dollars."""

    cash: Decimal
    long_stock: Decimal
    short_stock: Decimal
    long_options: Decimal
    short_options: Decimal
    initial: Decimal
    maintenance: Decimal
    reserved: Decimal
    option_requirement: Decimal

    @property
    def net_liquidating_value(self) -> Decimal:
        return self.cash + self.long_stock - self.short_stock + self.long_options - self.short_options

    @property
    def margin_equity(self) -> Decimal:
        """What margin is reckoned on: no value for options."""
        return self.cash + self.long_stock - self.short_stock

    @property
    def option_buying_power(self) -> Decimal:
        return self.margin_equity - self.initial - self.reserved

    @property
    def stock_buying_power(self) -> Decimal:
        return self.option_buying_power / INITIAL_STOCK


def naked_requirement(contract: OptionContract, spot: Decimal, premium: Decimal) -> Decimal:
    """Dollars for one uncovered short contract (premium included)."""
    a, b, floor = _INDEX_RATES if contract.root in INDEX_ROOTS else _EQUITY_RATES
    call = contract.right is Right.CALL
    out_of_money = max(_ZERO, contract.strike - spot if call else spot - contract.strike)
    base = b * (spot if call else contract.strike)
    return max(premium + max(a * spot - out_of_money, base), floor) * contract.multiplier


def spread_width(short: OptionContract, long: OptionContract) -> Decimal:
    """Dollars a short can lose while the long is held: 0 for a debit spread."""
    if long.right is not short.right or long.expiry < short.expiry or long.multiplier != short.multiplier:
        raise ValueError(f"{long.occ} does not cover {short.occ}")
    points = long.strike - short.strike if short.right is Right.CALL else short.strike - long.strike
    return max(_ZERO, points) * short.multiplier


def _option_requirement(
    shorts: dict[OptionContract, int],
    longs: dict[OptionContract, int],
    shares: int,
    world: BrokerageWorld,
    spot: Decimal,
) -> Decimal:
    """Dollars for one underlying's options; `longs` and `shares` are used up."""
    left = dict(longs)
    spreads: dict[date, dict[Right, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    naked = _ZERO
    for short, count in sorted(shorts.items(), key=lambda item: (item[0].expiry, item[0].strike)):
        open_count = count
        if short.right is Right.CALL and shares >= short.multiplier:
            covered = min(open_count, shares // short.multiplier)
            shares -= covered * short.multiplier
            open_count -= covered
        alone = naked_requirement(short, spot, price_of(world, short.occ) or _ZERO)
        candidates = sorted(
            (spread_width(short, long), long.expiry, long)
            for long, available in left.items()
            if available > 0
            and long.right is short.right
            and long.expiry >= short.expiry
            and long.multiplier == short.multiplier
        )
        for width, _, long in candidates:
            if open_count == 0 or width >= alone:
                break
            paired = min(open_count, left[long])
            left[long] -= paired
            open_count -= paired
            spreads[short.expiry][short.right] += width * paired
        naked += alone * open_count
    return naked + sum((max(sides.values()) for sides in spreads.values()), _ZERO)


def requirements(holdings: Mapping[str, int], world: BrokerageWorld) -> list[Requirement]:
    """Per underlying; `holdings` are signed quantities."""
    shares: dict[str, int] = defaultdict(int)
    shorts: dict[str, dict[OptionContract, int]] = defaultdict(dict)
    longs: dict[str, dict[OptionContract, int]] = defaultdict(dict)
    for symbol, quantity in holdings.items():
        if not is_option(symbol):
            shares[symbol] += quantity
            continue
        contract = world.contract(symbol)
        if contract is not None and quantity:
            (longs if quantity > 0 else shorts)[contract.root][contract] = abs(quantity)
    rows = []
    for underlying in sorted({*shares, *shorts, *longs}):
        held = shares.get(underlying, 0)
        spot = price_of(world, underlying) or _ZERO
        options = _option_requirement(shorts.get(underlying, {}), longs.get(underlying, {}), max(0, held), world, spot)
        stock = abs(held) * spot
        rows.append(Requirement(underlying, stock * INITIAL_STOCK + options, stock * MAINTENANCE_STOCK + options))
    return rows


def standing(cash: Decimal, holdings: Mapping[str, int], reserved: Decimal, world: BrokerageWorld) -> Standing:
    """All figures of an account; an instrument without any price counts as zero."""
    values = {"long_stock": _ZERO, "short_stock": _ZERO, "long_options": _ZERO, "short_options": _ZERO}
    for symbol, quantity in holdings.items():
        option = is_option(symbol)
        contract = world.contract(symbol) if option else None
        multiplier = (contract.multiplier if contract else 100) if option else 1
        value = abs(quantity) * multiplier * (price_of(world, symbol) or _ZERO)
        values[f"{'long' if quantity > 0 else 'short'}_{'options' if option else 'stock'}"] += value
    rows = requirements(holdings, world)
    initial = sum((row.initial for row in rows), _ZERO)
    stock = (values["long_stock"] + values["short_stock"]) * INITIAL_STOCK
    return Standing(
        cash=cash,
        initial=initial,
        maintenance=sum((row.maintenance for row in rows), _ZERO),
        reserved=reserved,
        option_requirement=initial - stock,
        **values,
    )
