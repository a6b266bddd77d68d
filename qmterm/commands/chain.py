"""`qmterm chain SYMBOL`: an option chain with our own volatilities and Greeks beside the vendor's.

The trap: a number that could not be computed is an empty cell with a code, never a zero; a quote that must not be
traded on is shown with its age and the reason.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, TextIO

from qmterm.commands.market_session import MarketSession, MarketWish, age_s, age_words, open_market
from qmterm.commands.progress import progress
from qmterm.core.errors import BadInput, BadSymbol, DataError, NotEntitled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qmterm.core.bars import IntArray
    from qmterm.core.chain import Chain

MOST_DAYS = 9_999  # to an expiry
LOOKED_AROUND = (7, 45, 400)  # days either side of a wished DTE, until an expiry is found
COLUMNS = (
    ("EXPIRY", 10, 0),
    ("STRIKE", 9, 2),
    ("R", 1, 0),
    ("BID", 8, 2),
    ("ASK", 8, 2),
    ("IV%", 6, 1),
    ("DELTA", 7, 3),
    ("GAMMA", 7, 4),
    ("THETA", 7, 3),
    ("VEGA", 7, 3),
    ("RHO", 7, 3),
    ("VOL", 7, 0),
    ("OI", 7, 0),
    ("LIQ", 4, 0),
    ("AGE", 6, 0),
)


def from_command_line(
    symbol: str, expiry: str | None, strikes: int | None, wish: MarketWish, *, as_json: bool, out: TextIO | None = None
) -> int:
    """Read, price and print the chain; wrong use is BadInput or BadSymbol, a plan without options NotEntitled."""
    wanted = parse_expiry(expiry)
    if strikes is not None and strikes < 1:
        raise BadInput(f"--strikes {strikes}: give the number of strikes to show on each side of the price, 1 or more")
    name = stock_name(symbol)
    document = asyncio.run(_read(name, wanted, strikes, wish))
    target = out if out is not None else sys.stdout
    if as_json:
        print(json.dumps(document, allow_nan=False), file=target)
    else:
        _print(document, target)
    return 0


def parse_expiry(text: str | None) -> date | int | None:
    """A date, or days to expiry as a whole number; None = every expiry."""
    if text is None:
        return None
    if text.isascii() and text.isdecimal():  # other digits than 0 to 9 are digits, too, and no numbers of days
        if len(text) > len(str(MOST_DAYS)):
            raise BadInput(f"--expiry {text}: no option is listed so many days ahead")
        return int(text)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"--expiry {text!r}: give a date such as 2026-04-17, or days to expiry such as 30") from None


def stock_name(symbol: str) -> str:
    """A ticker as the market spells it; BadSymbol when it is something else."""
    from qmterm.core.instruments import is_option

    name = symbol.strip().upper()
    if is_option(name):
        raise BadSymbol(f"{symbol!r} is one contract: give the stock's ticker, or use `qmterm quote` for a contract")
    if not name or not name.replace(".", "").replace("/", "").isalnum() or len(name) > 12:
        raise BadSymbol(f"{symbol!r} is not a ticker such as AAPL")
    return name.replace("/", ".")


async def _read(symbol: str, wanted: date | int | None, strikes: int | None, wish: MarketWish) -> dict[str, Any]:
    async with progress("opening the market") as say, open_market(wish) as session:
        say(f"reading {symbol}")
        await need_stock(session, symbol)
        await session.load_yields()
        say(f"reading the chain of {symbol}")
        chain = await read_expiry(session, symbol, wanted)
        if strikes is not None:
            chain = near_the_money(chain, strikes)
        return document(session, chain)


async def need_stock(session: MarketSession, symbol: str) -> None:
    """The stock's own prices on the board; BadSymbol when the vendor does not know it.

    A plan without stock snapshots cannot say, and then nothing is refused for it.
    """
    try:
        known = await session.load_stocks([symbol])
    except NotEntitled:
        return
    if symbol not in known:
        raise BadSymbol(f"{symbol} is not a stock that the data server knows; check the spelling")


async def read_expiry(session: MarketSession, symbol: str, wanted: date | int | None) -> Chain:
    """All expiries, one date's, or the one nearest to a number of days."""
    import numpy as np

    today, last = session.today, session.calendar.last
    if wanted is None:
        chain = await session.chains.read(symbol, session.now(), today, last)
        if not len(chain):
            raise DataError(f"{symbol} has no listed options")
        return chain
    if isinstance(wanted, date):
        if wanted < today:
            raise BadInput(f"--expiry {wanted}: that day has passed (the market is at {today})")
        if wanted > last:
            raise BadInput(f"--expiry {wanted}: no option is listed so many days ahead")
        chain = await session.chains.read(symbol, session.now(), wanted, wanted)
        if not len(chain):
            raise await _no_such_expiry(session, symbol, wanted)
        return chain
    day = today + timedelta(days=wanted)
    if day > last:
        raise BadInput(f"--expiry {wanted}: no option is listed so many days ahead")
    for days in LOOKED_AROUND:
        first, end = max(today, day - timedelta(days=days)), min(last, day + timedelta(days=days))
        chain = await session.chains.read(symbol, session.now(), first, end)
        if len(chain):
            distance = np.abs((chain.expiry - np.datetime64(day)).astype(np.int64))
            nearest = chain.expiry[int(distance.argmin())]
            return chain.take(np.flatnonzero(chain.expiry == nearest))
    raise DataError(f"{symbol} has no listed options within {LOOKED_AROUND[-1]} days of {day}")


async def _no_such_expiry(session: MarketSession, symbol: str, wanted: date) -> BadInput | DataError:
    """The sentence that names the expiries beside the one that does not exist."""
    around = timedelta(days=LOOKED_AROUND[1])
    first, end = max(session.today, wanted - around), min(session.calendar.last, wanted + around)
    rows = await session.rest.option_rows(symbol, first, max(first, end))
    if not len(rows):
        return DataError(f"{symbol} has no listed options within {around.days} days of {wanted}")
    days = sorted(set(rows.expiry.tolist()), key=lambda day: abs((day - wanted).days))[:3]
    near = ", ".join(day.isoformat() for day in sorted(days))
    return BadInput(f"--expiry {wanted}: {symbol} has no options that expire then; near it: {near}")


def near_the_money(chain: Chain, strikes: int) -> Chain:
    """The strikes nearest to the price, so many on each side, of every expiry."""
    import numpy as np

    kept: list[IntArray] = []
    for expiry in np.unique(chain.expiry):
        rows = np.flatnonzero(chain.expiry == expiry)
        ladder = np.unique(chain.strike[rows])
        middle = int(np.searchsorted(ladder, chain.spot))
        near = ladder[max(0, middle - strikes) : middle + strikes]
        kept.append(rows[np.isin(chain.strike[rows], near)])
    return chain.take(np.concatenate(kept))


def document(session: MarketSession, chain: Chain) -> dict[str, Any]:
    """`qmterm chain --json` (DESIGN.md 10)."""
    from qmterm.market.quality.codes import code_name

    now = session.now()
    return {
        "symbol": chain.underlying,
        **session.about(),
        "spot": known(chain.spot),
        "spot_age_s": age_s(now, chain.spot_ns),
        "spot_code": code_name(chain.spot_code) or None,
        "rate_mark": session.chains.rate_mark(now),
        "rows": chain_rows(chain, now),
    }


def chain_rows(chain: Chain, now_ns: int) -> list[dict[str, Any]]:
    """One row a contract, sorted by expiry, strike, call before put; unknown numbers are None and `code` says why."""
    from qmterm.market.quality.codes import code_name
    from qmterm.quant.options.implied_vol import IvStatus
    from qmterm.strategy.liquidity import liquidity_score

    liquidity = liquidity_score(
        chain.bid, chain.ask, chain.bid_size, chain.ask_size, chain.open_interest, chain.volume
    ).tolist()
    codes = [code_name(code) or None for code in chain.quote_code.tolist()]
    columns = {
        name: [known(value) for value in getattr(chain, name).tolist()]
        for name in ("strike", "bid", "ask", "iv", "delta", "gamma", "theta", "vega", "rho")
    }
    vendor = {
        f"vendor_{name}": [known(value) for value in getattr(chain, f"vendor_{name}").tolist()]
        for name in ("iv", "delta", "gamma", "theta", "vega")
    }
    days = [day.isoformat() for day in chain.expiry.tolist()]
    out = []
    for i, occ in enumerate(chain.occ):
        status = IvStatus(int(chain.iv_status[i]))
        out.append(
            {
                "occ": occ,
                "expiry": days[i],
                "dte": int(chain.dte[i]),
                "right": "C" if chain.is_call[i] else "P",
                **{name: values[i] for name, values in columns.items()},
                "iv_status": status.name,
                **{name: values[i] for name, values in vendor.items()},
                "bid_size": int(chain.bid_size[i]),
                "ask_size": int(chain.ask_size[i]),
                "volume": _count(chain.volume[i]),
                "open_interest": _count(chain.open_interest[i]),
                "liquidity_score": round(liquidity[i], 2),
                "age_s": age_s(now_ns, int(chain.quote_ns[i])),
                "code": codes[i],
            }
        )
    return out


def known(value: float) -> float | None:
    """NaN inside arrays is None at the edge."""
    return float(value) if math.isfinite(value) else None


def _count(value: int) -> int | None:
    return int(value) if value >= 0 else None


def _print(body: dict[str, Any], out: TextIO) -> None:
    print(" ".join(f"{name:>{width}}" for name, width, _ in COLUMNS) + "  CODE", file=out)
    for row in body["rows"]:
        print(_line(row), file=out)
    print(heading(body), file=out)


def _line(row: dict[str, Any]) -> str:
    iv = None if row["iv"] is None else 100 * row["iv"]
    values: Iterable[object] = (
        row["expiry"],
        row["strike"],
        row["right"],
        row["bid"],
        row["ask"],
        iv,
        *(row[name] for name in ("delta", "gamma", "theta", "vega", "rho", "volume", "open_interest")),
        row["liquidity_score"],
        age_words(row["age_s"]),
    )
    cells = (cell(value, width, decimals) for value, (_, width, decimals) in zip(values, COLUMNS, strict=True))
    why = [row["code"] or "", "" if row["iv_status"] in ("OK", row["code"]) else f"iv {row['iv_status']}"]
    return f"{' '.join(cells)}  {' '.join(word for word in why if word)}".rstrip()


def cell(value: object, width: int, decimals: int) -> str:
    """One cell, right-aligned; `–` where nothing is known."""
    if value is None:
        return f"{'–':>{width}}"
    if isinstance(value, float):
        return f"{value:>{width}.{decimals}f}"
    return f"{value!s:>{width}}"


def heading(body: dict[str, Any]) -> str:
    """The last line: what it is, when, and what must be known about it."""
    spot = "–" if body["spot"] is None else f"{body['spot']:.2f}"
    age = "" if body["spot_age_s"] is None else f" ({age_words(body['spot_age_s'])} old)"
    marks = ["delayed 15 min"] if body["delayed"] else []
    marks += [body["rate_mark"]] if body["rate_mark"] else []
    said = f"; {'; '.join(marks)}" if marks else ""
    return (
        f"{len(body['rows'])} contracts of {body['symbol']} at {spot}{age}; "
        f"{body['market_time']} market {body['market']}, {body['source']}{said}"
    )
