"""`qmterm doctor`, tastytrade: login, account, approval for options, trading status, quote token. No order is sent.

The trap: too many refused logins block the address for hours, so there is exactly one try, and none without secrets.
"""

from __future__ import annotations

import asyncio
from typing import Any

from qmterm.commands.doctor_report import Check, fail, ok, warn
from qmterm.core.errors import BrokerAuthError, BrokerError
from qmterm.core.settings.broker import TastytradeSettings
from qmterm.core.settings.engine import BrokerName
from qmterm.core.settings.model import Settings

PATIENCE_S = 10.0
REAL_MONEY = "nothing is sent but cancels until you arm: A on the screen, or ctl arm --until HH:MM --max-loss DOLLARS"

NETWORK = "check the network, a proxy, and [tastytrade] rest_url; then try again"


async def broker_checks(settings: Settings, secret: str, refresh: str, wanted: str | None) -> list[Check]:
    """Log in once and read; every failure ends the list with the sentence that explains it."""
    from qmterm.broker import accounts
    from qmterm.broker.session import BrokerSession

    name = settings.engine.broker
    session = BrokerSession(_hurried(settings.tastytrade), secret, refresh, is_test=name is BrokerName.CERT)
    checks: list[Check] = []
    step = "login"
    try:
        async with asyncio.timeout(4 * PATIENCE_S):
            await session.open()
            checks.append(ok(step, f"{session.rest_url} takes it; round trip {session.round_trip_ms or 0:.0f} ms"))
            step = "account"
            body = await session.read("listing the accounts", "/customers/me/accounts")
            rows = [row["account"] for row in _items(body) if isinstance(row.get("account"), dict)]
            number = accounts.choose(rows, wanted)
            checks.append(ok(step, f"{accounts.tail(number)} of {len(rows)}"))
            step = "options approval"
            status = _data(await session.read("reading the trading status", f"/accounts/{number}/trading-status"))
            accounts.check_trading(number, status)
            checks.append(ok(step, f"level {status.get('options-level', 'not told')}"))
            step = "quote token"
            token = _data(await session.read("asking for a quote token", "/api-quote-tokens"))
            granted = f"granted, level {token.get('level', 'not told')}"
            missing = warn(step, "none", "accept the market-data agreements at tastytrade; prices come from Polygon")
            checks.append(ok(step, granted) if token.get("token") else missing)
    except BrokerAuthError as error:
        checks.append(fail(step, str(error), _todo(step)))
    except BrokerError as error:
        optional = step == "quote token"
        checks.append((warn if optional else fail)(step, str(error), NETWORK))
    except TimeoutError:
        checks.append(fail(step, f"{session.rest_url} did not answer in time", NETWORK))
    finally:
        await session.close()
    if name is BrokerName.LIVE:
        checks.append(warn("real money", "broker = tastytrade", REAL_MONEY))
    return checks


def _todo(step: str) -> str:
    return {
        "login": "make a new refresh token under my.tastytrade.com > Manage > My Profile > API, and store both secrets "
        "again; then try once (repeated refusals block your address)",
        "account": "qmterm config secret set QMTERM_TT_ACCOUNT, with the number of the account to trade",
        "options approval": "apply for options trading at tastytrade, or name another account with QMTERM_TT_ACCOUNT",
        "quote token": "accept the market-data agreements at tastytrade; qmterm's prices come from Polygon anyway",
    }[step]


def _hurried(settings: TastytradeSettings) -> TastytradeSettings:
    return settings.model_copy(
        update={
            "connect_timeout_s": min(settings.connect_timeout_s, PATIENCE_S / 2),
            "read_timeout_s": min(settings.read_timeout_s, PATIENCE_S),
        }
    )


def _data(body: dict[str, Any]) -> dict[str, Any]:
    data = body.get("data")
    return data if isinstance(data, dict) else {}


def _items(body: dict[str, Any]) -> list[dict[str, Any]]:
    items = _data(body).get("items")
    return [row for row in items if isinstance(row, dict)] if isinstance(items, list) else []
