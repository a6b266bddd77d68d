"""What automatic exercise at the end makes of options: shares, cash, and the buying power that is left (QUANT.md 5.5).

Legs of one underlying that end together are netted: a spread in the money on both sides delivers nothing. The trap: the
shares are paid at the strike and carried at the stock's price, so a call far in the money costs less than it looks, and
a short call without shares ends in a short stock position that must be carried too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from qmterm.core.instruments import OptionContract
from qmterm.core.reasons import Reason

CENT = Decimal("0.01")
LEAST_IN_THE_MONEY = Decimal("0.01")  # dollars per share: from here the clearing house exercises by itself
MARGIN_SHARE = 0.5  # of the shares' value, Reg-T


@dataclass(frozen=True, slots=True)
class Consequence:
    """`shares` signed, `cash` dollars in (+) or out; buying power None with the reason when it is not known."""

    shares: int
    cash: Decimal
    buying_power_after: Decimal | None
    reason: Reason | None = None

    @property
    def beyond_means(self) -> bool:
        return self.buying_power_after is not None and self.buying_power_after < 0


def in_the_money(contract: OptionContract, spot: float) -> bool:
    """By a cent at least, after rounding the stock to the cent as its official close is."""
    price = Decimal(str(spot)).quantize(CENT, ROUND_HALF_UP)
    return (price - contract.strike) * contract.right.sign >= LEAST_IN_THE_MONEY


def delivered(contract: OptionContract, quantity: int) -> tuple[int, Decimal]:
    """Shares and dollars of exercise (quantity above 0) or assignment (below)."""
    shares = quantity * contract.multiplier * contract.right.sign
    return shares, -contract.strike * shares


def consequence(
    legs: Iterable[tuple[OptionContract, int]],
    spot: float | None,
    *,
    shares_held: int,
    buying_power: Decimal | None,
    margin_share: float = MARGIN_SHARE,
) -> Consequence | None:
    """Of all legs of one underlying that end together with the stock at `spot`; None when nothing is exercised.

    Buying power moves by the cash, the shares' value, and what carrying them takes (`margin_share`, 1 in an account
    without margin). What the options themselves bind and free is left out: the broker's word decides.
    """
    if spot is None or not spot > 0.0:
        return None
    shares, cash, any_exercised = 0, Decimal(0), False
    for contract, quantity in legs:
        if quantity and in_the_money(contract, spot):
            moved, paid = delivered(contract, quantity)
            shares, cash, any_exercised = shares + moved, cash + paid, True
    if not any_exercised:
        return None
    if buying_power is None:
        return Consequence(shares, cash, None, Reason.NO_DATA)
    price = Decimal(str(spot))
    carried = abs(shares_held + shares) - abs(shares_held)
    change = cash + shares * price - Decimal(str(margin_share)) * price * carried
    return Consequence(shares, cash, (buying_power + change).quantize(CENT, ROUND_HALF_UP))


def cash_at_settlement(contract: OptionContract, quantity: int, spot: float | None) -> Decimal | None:
    """Dollars a cash-settled option pays (+) or costs at `spot`; None without a price."""
    if spot is None:
        return None
    value = (Decimal(str(spot)) - contract.strike) * contract.right.sign
    return (max(Decimal(0), value) * quantity * contract.multiplier).quantize(CENT, ROUND_HALF_UP)
