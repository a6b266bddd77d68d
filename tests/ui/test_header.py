from qmterm.engine.view import HeaderView
from qmterm.ui.header import header_parts
from qmterm.ui.palette import text_of


def words(**changes):
    return [text_of(part.line) for part in header_parts(HeaderView(feed_state="live", **changes), 0.0, wide=False)]


def test_minutes_that_are_lost_stand_beside_the_feed_and_repaired_ones_do_not():
    assert not any("lost" in word for word in words(repaired_minutes=4, repaired_by_snapshot=120_000))
    shown = words(lost_minutes=3, lost_bars=32_345)
    at = shown.index("lost 3min 32.3k bars")
    assert shown[at - 1].startswith("feed")


def test_a_minute_of_which_no_symbol_is_known_is_lost_without_a_number():
    assert "lost 1min" in words(lost_minutes=1)
