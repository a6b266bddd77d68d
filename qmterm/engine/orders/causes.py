"""Why book and broker differ, in words: from what the broker booked, and from what companies did to their shares.

Pure. A delivery (expiry, exercise, assignment) becomes fills of our book, so that profit, lots and cash go on to the
cent; a dividend or a deposit is money of its own; what nothing explains stays unknown and stops new trades. The trap:
old bookings are inside our figures already, so only the newest ones that add up to exactly the difference explain it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from qmterm.core.clock import et_date
from qmterm.core.instruments import is_option, option_root, underlying_of
from qmterm.core.orders import Action, BrokerOrder, Fill, Leg, OrderKind, OrderState, TimeInForce
from qmterm.core.transactions import Transaction
from qmterm.engine.orders.reconcile import CASH_TOLERANCE, Difference
from qmterm.engine.show.wording import label

BOOKED = "booked-"  # before the transaction's number: a delivery as an order and fill of our book
DELIVERY = "Receive Deliver"
MONEY = "Money Movement"
_ACTIONS = {action.value: action for action in Action}


class CauseKind(StrEnum):
    ASSIGNMENT = "assignment"
    EXERCISE = "exercise"
    EXPIRY = "expiry"
    DELIVERY = "delivery"
    DIVIDEND = "dividend"
    SPLIT = "split"
    TRANSFER = "transfer"
    CHARGE = "fee or interest"
    FEE_DRIFT = "fee drift"
    ELSEWHERE = "manual trade elsewhere"
    UNKNOWN = "unknown"


# What the broker did, or what was only our estimate: no reason to hold trading down.
_EXPLAINED = frozenset(CauseKind) - {CauseKind.ELSEWHERE, CauseKind.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Cause:
    kind: CauseKind
    text: str

    @property
    def explained(self) -> bool:
        return self.kind in _EXPLAINED

    @property
    def is_flow(self) -> bool:
        """Money from or to outside: no profit and no loss of the day."""
        return self.kind is CauseKind.TRANSFER


NO_CAUSE = Cause(CauseKind.UNKNOWN, "cause unknown")


def flow_of(adopted: Iterable[tuple[Difference, Decimal, Cause]], price_of: Callable[[str], Decimal]) -> Decimal:
    """Dollars that came from or went outside with differences just adopted: no profit and no loss.

    Each with its change (dollars, contracts or shares) and its cause; `price_of` gives dollars per share. What was
    bought or sold elsewhere is an exchange: the cash that moved and what the positions are worth cancel out, in one
    comparison or, where the broker shows one of them first, over two.
    """
    total = Decimal(0)
    for difference, change, cause in adopted:
        symbol = difference.symbol
        if not symbol:
            total += change if cause.is_flow or not cause.explained else 0
        elif not cause.explained:
            total += change * price_of(symbol) * (100 if is_option(symbol) else 1)
    return total


# The words of removals, as tastytrade writes them (sub-types of Receive Deliver).
_REMOVALS = {
    "Assignment": CauseKind.ASSIGNMENT,
    "Exercise": CauseKind.EXERCISE,
    "Expiration": CauseKind.EXPIRY,
    "Cash Settled Assignment": CauseKind.ASSIGNMENT,
    "Cash Settled Exercise": CauseKind.EXERCISE,
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One booking as a filled order of the broker's, and what it was."""

    order: BrokerOrder
    cause: Cause


def deliveries(
    account: str, differences: Iterable[Difference], rows: Sequence[Transaction], counted: Callable[[str], bool]
) -> tuple[Delivery, ...]:
    """Bookings, oldest first, that explain differences of positions exactly; `rows` newest first.

    `counted` says whether a fill of that id is in the book already.
    """
    differing = tuple(differences)
    found: list[Delivery] = []
    fresh = [row for row in rows if row.kind == DELIVERY and not counted(f"{BOOKED}{row.transaction_id}")]
    for difference in differing:
        wanted = difference.theirs - difference.ours
        taken: list[tuple[Transaction, Action]] = []
        for row in fresh:
            action = _action(row, difference)
            if row.symbol != difference.symbol or action is None or not row.quantity:
                continue
            taken.append((row, action))
            wanted -= action.sign * row.quantity
            if not wanted:
                found += [Delivery(_order(account, r, a), _why(r, fresh)) for r, a in taken]
                break
    found += _through(account, found, {difference.symbol for difference in differing}, fresh)
    return tuple(sorted(found, key=lambda delivery: (delivery.order.updated_ns, delivery.order.broker_id)))


def _through(
    account: str, removed: Iterable[Delivery], differing: Collection[str], fresh: Sequence[Transaction]
) -> list[Delivery]:
    """Shares that came and went again: a spread with both legs in the money leaves only cash behind."""
    ends = {(option_root(d.order.underlying), et_date(d.order.updated_ns)) for d in removed}
    passed: dict[str, list[tuple[Transaction, Action]]] = {}
    for row in fresh:
        action, symbol = _ACTIONS.get(row.sub_kind), row.symbol
        if action is None or symbol is None or is_option(symbol) or symbol in differing or not row.quantity:
            continue
        if (option_root(symbol), et_date(row.time_ns)) in ends:
            passed.setdefault(symbol, []).append((row, action))
    return [
        Delivery(_order(account, row, action), _why(row, fresh))
        for rows in passed.values()
        if not sum(action.sign * (row.quantity or 0) for row, action in rows)
        for row, action in rows
    ]


def _action(row: Transaction, difference: Difference) -> Action | None:
    """The trade that the booking equals; a removal goes towards zero."""
    if row.sub_kind in _REMOVALS:
        return Action.SELL_TO_CLOSE if difference.ours > 0 else Action.BUY_TO_CLOSE
    return _ACTIONS.get(row.sub_kind)


def _order(account: str, row: Transaction, action: Action) -> BrokerOrder:
    symbol, quantity = row.symbol or "", int(row.quantity or 0)
    price = abs(row.value) / (quantity * (100 if is_option(symbol) else 1))
    fees = row.fees if row.fees is not None else row.value - row.net_value
    name = f"{BOOKED}{row.transaction_id}"
    return BrokerOrder(
        broker_id=name,
        external_id=None,
        account=account,
        underlying=underlying_of(symbol),
        state=OrderState.FILLED,
        legs=(Leg(symbol, action, quantity),),
        fills=(Fill(name, name, symbol, action, quantity, price, row.time_ns, fees),),
        net_price=None,
        time_in_force=TimeInForce.DAY.value,
        received_ns=row.time_ns,
        updated_ns=row.time_ns,
        remaining=(0,),
        kind=OrderKind.MARKET,
    )


def _why(row: Transaction, rows: Iterable[Transaction]) -> Cause:
    kind = _REMOVALS.get(row.sub_kind)
    name = label(row.symbol or "")
    if kind is not None:
        paid = f", {row.value:+,.2f} in cash" if row.value else ""
        return Cause(kind, f"{kind.value} of {row.quantity} {name}{paid}")
    # Shares: the option that was removed in the same instant says why they came.
    text = f"{row.sub_kind.lower()} {row.quantity} {name} at {row.price}"
    for other in rows:
        kind = _REMOVALS.get(other.sub_kind)
        same = other.time_ns == row.time_ns and other.symbol is not None and is_option(other.symbol)
        if kind is not None and same and underlying_of(other.symbol or "") == option_root(row.symbol or ""):
            return Cause(kind, f"{text} by {kind.value} of {label(other.symbol or '')}")
    return Cause(CauseKind.DELIVERY, f"{text}, delivered")


def cause_of_money(change: Decimal, rows: Iterable[Transaction], small: Decimal) -> Cause:
    """Dollars the broker has more than we: the newest movements of money that add up to it, else what is only small."""
    total, taken = Decimal(0), []
    movements = [row for row in rows if row.kind == MONEY and row.net_value]
    for row in movements:
        total += row.net_value
        taken.append(row)
        if abs(total - change) <= CASH_TOLERANCE:
            return _of_money(taken)
    for row in movements:
        if abs(row.net_value - change) <= CASH_TOLERANCE:
            return _of_money([row])
    if abs(change) <= small:
        return Cause(CauseKind.FEE_DRIFT, "fees other than we counted")
    return NO_CAUSE


def _of_money(rows: Sequence[Transaction]) -> Cause:
    kinds = [_kind_of_money(row.sub_kind) for row in rows]
    parts = [f"{row.sub_kind.lower()} {row.symbol or ''}".strip() + f" {row.net_value:+,.2f}" for row in rows]
    # A transfer among them is a flow; then the whole is taken for one, which hides no loss.
    kind = CauseKind.TRANSFER if CauseKind.TRANSFER in kinds else kinds[0]
    return Cause(kind, ", ".join(parts))


def _kind_of_money(sub_kind: str) -> CauseKind:
    words = sub_kind.lower()
    if "dividend" in words or "lieu" in words:
        return CauseKind.DIVIDEND
    if "fee" in words or "interest" in words or "adjustment" in words:
        return CauseKind.CHARGE
    return CauseKind.TRANSFER


def causes_of_positions(
    differences: Sequence[Difference],
    rows: Iterable[Transaction],
    known_orders: Callable[[str], bool],
    split_ratio: Callable[[str], float],
) -> dict[str, Cause]:
    """By symbol, why positions differ that no delivery explains: a split, or somebody's trade.

    `split_ratio` is new shares for one old share of late, 1.0 without a split.
    """
    booked = list(rows)
    found = {}
    for difference in differences:
        if not difference.symbol:
            continue
        root = underlying_of(difference.symbol)
        ratio = split_ratio(root)
        told = [row for row in booked if row.symbol and underlying_of(row.symbol) == root and "Split" in row.sub_kind]
        if _splits(difference, differences, ratio, told):
            found[difference.symbol] = Cause(CauseKind.SPLIT, f"split of {root}")
            continue
        trades = [row for row in booked if row.kind == "Trade" and row.symbol == difference.symbol and row.order_id]
        order = next((row.order_id for row in trades if row.order_id and not known_orders(row.order_id)), None)
        found[difference.symbol] = (
            NO_CAUSE if order is None else Cause(CauseKind.ELSEWHERE, f"traded elsewhere, order {order}")
        )
    return found


def _splits(
    difference: Difference, differences: Iterable[Difference], ratio: float, told: Sequence[Transaction]
) -> bool:
    """A size that went on under a split: the same symbol times the ratio, or out of one contract into another."""
    ours, theirs = difference.ours, difference.theirs
    if not (told or ratio != 1.0):
        return False
    if not is_option(difference.symbol):
        said = any(row.symbol == difference.symbol and row.quantity == abs(theirs) for row in told)
        return bool(ours) and (said or (ratio != 1.0 and abs(float(theirs) - float(ours) * ratio) < 1))
    root = underlying_of(difference.symbol)
    left = any(
        not other.theirs for other in differences if is_option(other.symbol) and underlying_of(other.symbol) == root
    )
    return left and not (ours and theirs)


def lately(today: date) -> date:
    """Bookings are read from here on: over a long weekend and the holiday beside it."""
    return date.fromordinal(today.toordinal() - 5)
