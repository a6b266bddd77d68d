"""Bad news keeps new longs away, is counted and journalled; unknown news is a warning, never a block."""

from types import SimpleNamespace

import pytest

from qmterm.core.reasons import Reason
from qmterm.core.settings.strategy import OptionChoiceSettings
from qmterm.core.signals import SignalState
from qmterm.engine.signals import entries as entries_module
from qmterm.engine.signals.entries import Entries
from qmterm.market.news.sentiment import Sentiment
from qmterm.market.quality.coverage import Coverage
from qmterm.strategy.option_choice import OptionChoice
from tests.engine.house import House, plan

BAD = Sentiment("NVDA", -0.7, 3, "insights")
GOOD = Sentiment("NVDA", 0.7, 3, "insights")


class News:
    def __init__(self, mood):
        self.mood = mood
        self.learned = []

    async def learn(self, symbol):
        self.learned.append(symbol)

    def sentiment(self, symbol):
        return self.mood


class Room:
    """Entries with one signal whose chain is there; `chosen` counts how often option choice was asked."""

    def __init__(self, monkeypatch, mood, block=True, state=SignalState.ENTRY_LONG, news=True):
        self.house = House()
        self.news = News(mood) if news else None
        self.chosen = 0
        self.opened = []
        signal = plan(now_ns=self.house.clock.now()).signal
        signal = entries_module.Signal(**{**{n: getattr(signal, n) for n in signal.__slots__}, "state": state})
        chain = [object()]

        async def read(*_):
            return chain

        async def learn(*_):
            return None

        async def earnings_date(*_):
            return None

        def choose(*_):
            self.chosen += 1
            return OptionChoice(SimpleNamespace(occ="NVDA  260327C00180000"), (), {}, ())

        def open_(made, *_, **more):
            self.opened.append((made, more["warnings"]))
            return SimpleNamespace(approved=True, contracts=1, reason=None)

        monkeypatch.setattr(entries_module, "choose", choose)
        monkeypatch.setattr(entries_module, "make_plan", lambda *_: plan())
        trader = self.house.trader
        monkeypatch.setattr(trader, "open", open_)
        monkeypatch.setattr(trader, "ticks", SimpleNamespace(learn=learn, of=lambda occ: None))
        self.entries = Entries(
            trader,
            SimpleNamespace(entries=lambda most: [signal], learn_options=lambda *_, **__: None, coverage=Coverage()),
            SimpleNamespace(read=read, requote=lambda chain, now: chain),
            SimpleNamespace(earnings_date=earnings_date),
            None,
            None,
            self.house.clock,
            self.house.log,
            OptionChoiceSettings(),
            1,
            news=self.news,
            news_block=block,
        )


async def test_bad_news_blocks_a_new_long(monkeypatch):
    room = Room(monkeypatch, BAD)
    await room.entries.consider()
    assert (room.chosen, room.opened) == (0, [])
    assert room.entries.rejected == {"NEWS_BLOCK": 1}
    assert room.entries.notes["NVDA"] == Reason.NEWS_BLOCK.value
    assert room.house.trader.rejected["NEWS_BLOCK"] == 1
    assert room.news.learned == ["NVDA"]


@pytest.mark.parametrize("mood", [GOOD, Sentiment("NVDA", -0.7, 2, "insights"), Sentiment("NVDA", -0.49, 9, "lex")])
async def test_other_news_changes_nothing(monkeypatch, mood):
    room = Room(monkeypatch, mood)
    await room.entries.consider()
    assert [warnings for _, warnings in room.opened] == [()]


@pytest.mark.parametrize("news", [True, False], ids=["no answer", "no service"])
async def test_unknown_news_is_a_warning(monkeypatch, news):
    room = Room(monkeypatch, None, news=news)
    await room.entries.consider()
    assert [warnings for _, warnings in room.opened] == [("NEWS_BLOCK was not checked",)]


async def test_switched_off_it_is_neither_asked_nor_warned_about(monkeypatch):
    room = Room(monkeypatch, BAD, block=False)
    await room.entries.consider()
    assert [warnings for _, warnings in room.opened] == [()]
    assert room.news.learned == []


async def test_bad_news_does_not_block_a_short(monkeypatch):
    room = Room(monkeypatch, BAD, state=SignalState.ENTRY_SHORT)
    await room.entries.consider()
    assert len(room.opened) == 1
