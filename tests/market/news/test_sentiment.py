"""S by hand: weights, window, repeats, insights before word lists; the block needs three articles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.market.news.sentiment import normalised, sentiment, without_repeats
from tests.market.news.made import NOW, Words, article


def s_of(*items, now=NOW):
    return sentiment("AAPL", items, now, Words())


def test_weights_halve_every_twelve_hours():
    found = s_of(article("a", 0, "positive"), article("b", 12, "negative"), article("c", 24, "negative"))
    assert found.value == pytest.approx((1 - 0.5 - 0.25) / (1 + 0.5 + 0.25 + 1))
    assert (found.articles, found.label) == (3, "insights")


def test_it_decays_when_it_is_read_not_when_it_is_kept():
    items = [article("a", 0, "negative")]
    assert s_of(*items).value == pytest.approx(-1 / 2)
    later = s_of(*items, now=NOW + 24 * 3_600_000_000_000)
    assert later.value == pytest.approx(-0.25 / 1.25)


def test_only_the_last_72_hours_and_nothing_from_the_future():
    assert s_of(article("a", 72.1), article("b", -0.1)).articles == 0
    assert s_of(article("a", 71.9)).articles == 1
    assert s_of().value == 0.0


def test_articles_about_others_do_not_count():
    assert s_of(article("a", symbols=("MSFT",))).articles == 0


def test_a_reprint_within_a_day_counts_once_at_its_first_time():
    title = "Apple  cuts FORECAST!"
    found = s_of(article("a", 10, title=title), article("b", 1, title="apple cuts forecast"))
    alone = s_of(article("a", 10, title=title))
    assert found == alone
    assert s_of(article("a", 30, title=title), article("b", 1, title=title)).articles == 2
    assert len(without_repeats([article("a", 1), article("a", 1)])) == 1
    assert normalised("Apple  cuts FORECAST!") == "apple cuts forecast"


def test_without_an_insight_for_the_symbol_the_word_list_speaks_and_says_so():
    found = s_of(article("a", tone=None, title="bad news"))
    assert (found.value, found.label) == (pytest.approx(-0.25), "lex")
    other = s_of(article("a", tone="positive", about="MSFT", symbols=("AAPL", "MSFT"), title="bad news"))
    assert other.label == "lex"
    assert s_of(article("a"), article("b", tone=None)).label == "mixed"


def test_three_fresh_bad_articles_block_two_do_not():
    three = [article(name) for name in "abc"]
    assert s_of(*three).value == pytest.approx(-0.75)
    assert s_of(*three).blocks
    assert not s_of(*three[:2]).blocks
    assert not s_of(*(article(name, 40) for name in "abc")).blocks


@given(st.lists(st.tuples(st.floats(0, 72), st.sampled_from(["positive", "neutral", "negative"])), max_size=30))
def test_s_stays_inside_and_keeps_its_sign(rows):
    items = [article(str(i), hours, tone) for i, (hours, tone) in enumerate(rows)]
    found = s_of(*items)
    assert -1 < found.value < 1
    assert found.articles == len(items)
    if rows and all(tone == "positive" for _, tone in rows):
        assert found.value > 0
