"""One call a minute for the market, one for a symbol; unknown is not "no news"; holes are holes."""

import asyncio

from qmterm.core.clock import NS, ManualClock
from qmterm.core.errors import DataError, NotEntitled
from qmterm.market.news.desk import PAGE, NewsDesk
from tests.market.news.made import NOW, Words, article


class Rest:
    """Answers as the vendor does: newest first, at most `limit`, since a time."""

    def __init__(self, *items):
        self.items = list(items)
        self.asked = []
        self.error = None

    async def news(self, symbol, since_ns, limit=50):
        self.asked.append(symbol)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        found = [i for i in self.items if i.published_ns >= since_ns and (symbol is None or symbol in i.symbols)]
        return tuple(sorted(found, key=lambda item: -item.published_ns)[:limit])


def desk(*items, per_minute=4_800):
    rest, clock = Rest(*items), ManualClock(NOW)
    return NewsDesk(rest, clock, per_minute, Words()), rest, clock


async def test_the_market_is_one_call_a_minute():
    news, rest, clock = desk(article("a"), article("b", symbols=("MSFT",), about="MSFT"))
    for _ in range(3):
        await news.refresh()
    assert rest.asked == [None]
    assert news.sentiment("AAPL").articles == 1
    assert news.sentiment("IBM").articles == 0, "known: nothing was written about it"
    clock.advance(61)
    rest.items.append(article("c", -60 / 3_600))
    await news.refresh()
    assert rest.asked == [None, None]
    assert news.sentiment("AAPL").articles == 2


async def test_a_small_plan_is_asked_less_often():
    news, rest, clock = desk(per_minute=5)
    for _ in range(6):
        await news.refresh()
        clock.advance(60)
    assert len(rest.asked) == 2


async def test_before_the_first_answer_nothing_is_known():
    news, rest, _ = desk(article("a"))
    assert news.sentiment("AAPL") is None
    rest.error = DataError("server down")
    await news.refresh()
    assert news.sentiment("AAPL") is None


async def test_a_full_page_has_a_hole_behind_it_that_a_symbol_of_its_own_fills():
    many = [article(f"m{i}", 0.01 * i, symbols=("MSFT",)) for i in range(PAGE)]
    news, rest, _ = desk(*many, article("old", 40))
    await news.refresh()
    assert news.sentiment("AAPL") is None, "its older articles are behind the page"
    await news.learn("AAPL")
    assert news.sentiment("AAPL").articles == 1
    await news.learn("AAPL")
    assert rest.asked == [None, "AAPL"]


async def test_askers_of_one_symbol_share_one_call():
    news, rest, _ = desk(article("a"))
    await asyncio.gather(*(news.learn("AAPL") for _ in range(5)))
    assert rest.asked == ["AAPL"]


async def test_what_was_learned_and_is_not_carried_on_grows_old():
    news, _, clock = desk(article("a"))
    await news.learn("AAPL")
    assert news.sentiment("AAPL") is not None
    clock.advance(3_600)
    assert news.sentiment("AAPL") is None


async def test_after_a_long_silence_the_market_is_read_anew():
    news, _, clock = desk(article("a"))
    await news.refresh()
    clock.advance(80 * 3_600)
    assert news.sentiment("AAPL") is None
    await news.refresh()
    assert news.sentiment("AAPL").articles == 0


async def test_a_plan_without_news_is_asked_once_a_day():
    news, rest, clock = desk(article("a"))
    rest.error = NotEntitled("news: your plan does not include it")
    for _ in range(3):
        await news.refresh()
        await news.learn("AAPL")
        clock.advance(300)
    assert rest.asked == [None]
    assert news.not_entitled
    assert news.sentiment("AAPL") is None
    clock.advance(86_400)
    rest.error = None
    await news.refresh()
    assert news.sentiment("AAPL") is not None


async def test_old_articles_are_let_go():
    news, _, clock = desk(article("a", 71.99), article("b", 1))
    await news.refresh()
    assert [one.item.news_id for one in news.articles("AAPL")] == ["b", "a"]
    clock.advance(120)
    await news.refresh()
    assert [one.item.news_id for one in news.articles()] == ["b"]
    assert clock.now() - NOW == 120 * NS
