"""The journal's file after the last life, put before the judge: the book rebuilt from it alone."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from qmterm.core.orders import AccountBalance, AccountState
from qmterm.drill.judge import Judge
from qmterm.engine.orders.recovery import rebuild
from qmterm.journal.schema import connector
from qmterm.journal.state import load_state

_NOTHING = AccountState("", AccountBalance(Decimal(0), Decimal(0), Decimal(0)), (), ())  # the journal only is asked
DAYS = 7


def judge_file(judge: Judge, path: Path) -> None:
    """Read the closed journal and let the judge compare it with the broker's ledger."""
    connection = connector(path, read_only=True)()
    saved = load_state(connection, DAYS)
    connection.close()
    book = rebuild(saved, _NOTHING, None, 0.0).book
    judge.close(saved, {position.symbol: position.quantity for position in book.positions}, book.cash)
