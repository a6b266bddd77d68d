from qmterm.ui.lines import changed_regions, strip_of
from qmterm.ui.palette import BOLD, CURSOR, DIM, STRUCK, Palette, Span, age_marks, aged, fit, spread, text_of, width_of
from qmterm.ui.themes import BUILT_IN

STEPS = (2.0, 5.0, 15.0)


def stretch(old, new):
    return [(region.x, region.width) for region in changed_regions(old, new, 0)]


def test_equal_lines_repaint_nothing():
    line = (Span("NVDA "), Span(" 172.41"))
    assert stretch(line, (Span("NVDA "), Span(" 172.41"))) == []


def test_only_digits_that_changed_are_dirty():
    assert stretch((Span("NVDA "), Span(" 172.41")), (Span("NVDA "), Span(" 172.53"))) == [(10, 2)]


def test_two_changes_on_a_line_are_one_stretch():
    old = (Span("aa "), Span("bb "), Span("cc "))
    assert stretch(old, (Span("ax "), Span("bb "), Span("cx "))) == [(1, 7)]


def test_a_change_of_colour_repaints_the_whole_span():
    assert stretch((Span("ab"), Span("cd")), (Span("ab"), Span("cd", "gain"))) == [(2, 2)]


def test_another_shape_repaints_the_whole_line():
    assert stretch((Span("abc"),), (Span("ab"), Span("c"))) == [(0, 3)]


def test_fit_is_exact_and_marks_the_cut():
    assert text_of(fit((Span("abc"), Span("def")), 4)) == "abc…"
    assert text_of(fit((Span("abc"),), 5)) == "abc  "
    for width in range(1, 12):
        assert width_of(fit((Span("abc"), Span("defg"), Span("  ")), width)) == width


def test_spread_gives_up_the_right_side_before_the_left():
    assert text_of(spread((Span("left"),), (Span("right"),), 12)) == "left   right"
    assert text_of(spread((Span("left"),), (Span("right"),), 8)) == "left    "


def test_neighbours_of_one_look_become_one_segment():
    palette = Palette(BUILT_IN)
    strip = strip_of((Span("a"), Span("b"), Span("c", "gain"), Span("", "loss"), Span("d", "gain")), palette)
    assert [segment.text for segment in strip] == ["ab", "cd"]


def test_old_numbers_are_dim_then_marked_then_struck_out():
    assert [age_marks(age, STEPS) for age in (0.1, 2, 5, 15)] == [0, DIM, DIM, STRUCK]
    assert [aged("4.15", age, STEPS) for age in (0.1, 2, 5, 15)] == ["4.15", "4.15", "~4.15", "~4.15"]
    assert aged("–", 99, STEPS) == "–"


def test_without_colour_every_important_tone_still_differs_from_text():
    palette = Palette(BUILT_IN, mono=True)
    plain = palette.style("text")
    for tone in ("alarm", "live", "armed", "proposal", "accent", "dim"):
        assert palette.style(tone) != plain
    for style in (palette.style("gain"), palette.style("alarm", BOLD), palette.style("text", CURSOR)):
        assert style.color is None
        assert style.bgcolor is None
    assert palette.style("text", CURSOR).reverse
