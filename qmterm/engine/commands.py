"""What a screen, a shell or a socket may ask of the engine. Each command gets one CommandResult back."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol

from qmterm.core.orders import OrderKind, TimeInForce
from qmterm.engine.view import Snapshot


@dataclass(frozen=True, slots=True)
class CommandResult:
    ok: bool
    text: str  # one sentence for the person who asked
    data: object = None  # JSON-ready, for the socket
    refused: bool = False  # by the risk gate or the ladder: a shell's exit code tells it from other failures


@dataclass(frozen=True, slots=True)
class ApproveProposal:
    """Send what the proposal says, if the gate still passes; the id is consumed, so twice sends once."""

    proposal_id: str
    limit_seen: str  # the limit the person saw, as text; a different one now means: ask again


@dataclass(frozen=True, slots=True)
class RejectProposal:
    proposal_id: str


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """`all` cancels every working order; the ladder stays where it is."""

    order_id: str


@dataclass(frozen=True, slots=True)
class Terms:
    """How to send an order that is more than a limit at the market for the day. Dollars per share, positive."""

    kind: OrderKind = OrderKind.LIMIT
    limit: Decimal | None = None
    trigger: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    good_until: date | None = None


@dataclass(frozen=True, slots=True)
class ClosePosition:
    """Stage a close: always a proposal, unless it was typed out in a shell and the engine trades alone (`send`)."""

    position_id: str
    send: bool = False
    terms: Terms | None = None


@dataclass(frozen=True, slots=True)
class StageOrder:
    """Stage a single-leg order on a contract the person picked; always becomes a proposal."""

    symbol: str  # OCC
    buys: bool
    quantity: int = 1


@dataclass(frozen=True, slots=True)
class StageTicket:
    """Stage the order that a line of text says (docs/orders.md): a proposal, unless `send` and the engine trades alone.

    A refusal's data: {"code", "column": of the word, where the text is wrong}.
    """

    text: str
    send: bool = False


@dataclass(frozen=True, slots=True)
class RollPosition:
    """Stage a roll: `text` is `POSITION [15MAY26] [180C] [@ net]`; without an expiry the next one listed."""

    text: str
    send: bool = False


@dataclass(frozen=True, slots=True)
class EditOrder:
    """Another price for a working order, dollars without a sign: it is sent at once, the machine walks it no more."""

    order_id: str
    price: str


@dataclass(frozen=True, slots=True)
class SelectSymbol:
    """Whose chain the screen wants to see."""

    symbol: str


@dataclass(frozen=True, slots=True)
class SelectExpiry:
    step: int  # −1 or +1


@dataclass(frozen=True, slots=True)
class Pause:
    """NO-NEW: no entries; exits, stops and cancels go on."""

    source: str = "screen"


@dataclass(frozen=True, slots=True)
class Resume:
    source: str = "screen"


@dataclass(frozen=True, slots=True)
class Kill:
    """HALT: cancel every working order at once, first; nothing by machine after it."""

    source: str = "screen"


@dataclass(frozen=True, slots=True)
class Flatten:
    """FLATTEN: cancel what opens or rests, close everything held, by machine and in every mode."""

    source: str = "screen"


@dataclass(frozen=True, slots=True)
class Arm:
    """Let real money move until then. `tail` is the end of the account's number as a person typed it."""

    tail: str = ""
    until: str = ""  # New York time HH:MM; "" = a quarter of an hour from now
    max_loss: str = ""  # dollars of NLV since now at which it ends; "" = no bound of its own
    source: str = "screen"


@dataclass(frozen=True, slots=True)
class Disarm:
    source: str = "screen"


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Compare with the broker now."""


@dataclass(frozen=True, slots=True)
class Why:
    """The decision trail of a symbol, order, proposal or position; `full` adds the journal's rows as they are."""

    subject: str
    full: bool = False


@dataclass(frozen=True, slots=True)
class ListOrders:
    which: str = "working"  # working | all: of the last days


@dataclass(frozen=True, slots=True)
class ReadFlow:
    """Options flow seen today: of some underlyings, or of all that are watched."""

    symbols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    pass


@dataclass(frozen=True, slots=True)
class Scan:
    """The latest scan's rows; `limit` "0" = as many as one answer carries."""

    limit: str = "0"


@dataclass(frozen=True, slots=True)
class ReadBook:
    """What is held: `what` is positions (trades, lots), portfolio (risk of all) or expiry (how contracts end)."""

    what: str


@dataclass(frozen=True, slots=True)
class StopEngine:
    """Stop cleanly: working orders are listed, the journal closed."""

    source: str = "screen"


Command = (
    ApproveProposal
    | RejectProposal
    | CancelOrder
    | ClosePosition
    | StageOrder
    | StageTicket
    | RollPosition
    | EditOrder
    | SelectSymbol
    | SelectExpiry
    | Pause
    | Resume
    | Kill
    | Flatten
    | Arm
    | Disarm
    | Reconcile
    | Why
    | ListOrders
    | ReadFlow
    | Status
    | Scan
    | ReadBook
    | StopEngine
)


class EngineDoor(Protocol):
    """All that a screen holds of the engine; both calls are safe from any thread and never block."""

    @property
    def snapshot(self) -> Snapshot: ...

    def send(self, command: Command) -> Future[CommandResult]: ...
