"""`qmterm news SYMBOL`: the articles of the last 72 hours and the sentiment they make together.

The trap: sentiment only ever keeps a trade away; S of no article is 0 and says "0 articles" beside it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, TextIO

from qmterm.commands.chain import cell, need_stock, stock_name
from qmterm.commands.market_session import MarketWish, age_s, open_market
from qmterm.commands.progress import progress
from qmterm.core.clock import to_et
from qmterm.core.errors import BadInput

COLUMNS = (("TIME", 11, 0), ("TONE", 5, 2), ("BY", 8, 0))
MOST = 1_000


def from_command_line(symbol: str, limit: int, wish: MarketWish, *, as_json: bool, out: TextIO | None = None) -> int:
    """One page of articles; `limit` only shortens what is shown, S is made of all."""
    if limit < 1:
        raise BadInput(f"--limit {limit}: give the number of articles to show, 1 or more")
    body = asyncio.run(_read(stock_name(symbol), limit, wish))
    target = out if out is not None else sys.stdout
    if as_json:
        print(json.dumps(body, allow_nan=False), file=target)
    else:
        _print(body, target)
    return 0


async def _read(symbol: str, limit: int, wish: MarketWish) -> dict[str, Any]:
    from qmterm.market.news.lexicon import word_list
    from qmterm.market.news.sentiment import WINDOW_NS, in_window, of_scored, scored, without_repeats

    async with progress("opening the market") as say, open_market(wish) as session:
        lexicon = word_list(session.settings.news.word_list)
        await need_stock(session, symbol)
        say(f"reading the news of {symbol}")
        now = session.now()
        items = await session.rest.news(symbol, now - WINDOW_NS, MOST)
        found = [scored(item, symbol, lexicon) for item in without_repeats(in_window(items, now))]
        mood = of_scored(symbol, found, now)
        rows = [
            {
                "time": to_et(one.item.published_ns).isoformat(timespec="seconds"),
                "age_s": age_s(now, one.item.published_ns),
                "title": one.item.title,
                "tone": round(one.tone, 4),
                "by": one.label,
                "publisher": one.item.publisher,
                "symbols": list(one.item.symbols),
                "url": one.item.url,
            }
            for one in reversed(found)
        ]
        return {
            "symbol": symbol,
            **session.about(),
            "sentiment": round(mood.value, 6),
            "n": mood.articles,
            "label": mood.label,
            "blocks_new_longs": mood.blocks and session.settings.news.block,
            "rows": rows[:limit],
        }


def _print(body: dict[str, Any], out: TextIO) -> None:
    if body["rows"]:
        print(" ".join(f"{name:>{width}}" for name, width, _ in COLUMNS) + "  TITLE", file=out)
    for row in body["rows"]:
        stamp = f"{row['time'][5:10]} {row['time'][11:16]}"
        cells = [
            cell(value, width, decimals)
            for value, (_, width, decimals) in zip((stamp, row["tone"], row["by"]), COLUMNS, strict=True)
        ]
        print(f"{' '.join(cells)}  {plain(row['title'])} ({plain(row['publisher'])})", file=out)
    mark = f" ({body['label']})" if body["label"] else ""
    block = "; blocks new longs" if body["blocks_new_longs"] else ""
    print(
        f"{body['symbol']}: sentiment {body['sentiment']:+.2f}{mark} of {body['n']} articles in 72 h{block}; "
        f"{body['market_time']} market {body['market']}, {body['source']}",
        file=out,
    )


def plain(text: str) -> str:
    """Somebody else's words on our terminal: nothing that steers it."""
    return "".join(char if char.isprintable() else " " for char in text)
