"""Which account to trade: the one that was named, or the only one; never a guess, never one without options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qmterm.core.account import AccountFlags
from qmterm.core.errors import BrokerAuthError

NOT_USABLE = "account_not_usable"
_NO_OPTIONS = ("no options", "none", "not approved", "permission denied")


def tail(account: str) -> str:
    """What may be shown of an account number."""
    return f"..{account[-4:]}"


def choose(accounts: Sequence[Mapping[str, Any]], wanted: str | None) -> str:
    """The account's number; BrokerAuthError with the tails to choose from when it is not clear."""
    numbers = [str(account.get("account-number", "")) for account in accounts]
    tails = ", ".join(tail(number) for number in numbers) or "none"
    if wanted:
        found = [account for account, number in zip(accounts, numbers, strict=True) if number.endswith(wanted)]
        if len(found) != 1:
            problem = "matches no account" if not found else "matches several accounts"
            raise BrokerAuthError(f"QMTERM_TT_ACCOUNT {problem} of this login ({tails})", NOT_USABLE)
        chosen = found[0]
    else:
        usable = [account for account in accounts if not account.get("is-closed")]
        if len(usable) != 1:
            what = "several accounts" if usable else "no open account"
            raise BrokerAuthError(
                f"this tastytrade login has {what} ({tails}); name one with QMTERM_TT_ACCOUNT", NOT_USABLE
            )
        chosen = usable[0]
    number = str(chosen.get("account-number", ""))
    if chosen.get("is-closed"):
        raise BrokerAuthError(f"account {tail(number)} is closed; name another with QMTERM_TT_ACCOUNT", NOT_USABLE)
    return number


def flags_of(status: Mapping[str, Any]) -> AccountFlags:
    """The flags of a trading status; a word that is missing forbids nothing."""
    count = status.get("day-trade-count")
    return AccountFlags(
        closed=bool(status.get("is-closed")),
        frozen=bool(status.get("is-frozen")),
        closing_only=bool(status.get("is-closing-only")),
        risk_reducing_only=bool(status.get("is-risk-reducing-only")),
        margin_call=bool(status.get("is-in-margin-call") or status.get("is-in-day-trade-equity-maintenance-call")),
        short_calls=bool(status.get("short-calls-enabled", True)),
        day_trade_count=count if isinstance(count, int) else None,
    )


def check_trading(account: str, status: Mapping[str, Any]) -> None:
    """BrokerAuthError when the trading status forbids what qmterm does."""
    for flag, word in (("is-closed", "closed"), ("is-frozen", "frozen")):
        if status.get(flag):
            raise BrokerAuthError(f"account {tail(account)} is {word}: tastytrade takes no orders for it", NOT_USABLE)
    level = str(status.get("options-level", "")).strip().lower()
    if any(level.startswith(word) for word in _NO_OPTIONS):
        raise BrokerAuthError(
            f"account {tail(account)} is not approved for options (level: {status.get('options-level')}); "
            "apply for it at tastytrade or name another account with QMTERM_TT_ACCOUNT",
            NOT_USABLE,
        )
