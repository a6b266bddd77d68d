import pytest

from qmterm.ui.palette import TONES, Palette
from qmterm.ui.themes import BUILT_IN, DARK, LIGHT, ThemeProblem, ThemeShelf, read_theme
from tests.ui.running import THEMES


def luminance(colour):
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["midnight", "paper", "deuteranopia"])
def test_shipped_themes_are_complete_and_readable(name):
    theme = ThemeShelf([THEMES]).load(name)
    assert not isinstance(theme, ThemeProblem)
    assert set(theme.colours) == set(TONES)
    for tone in ("text", "gain", "loss", "alarm", "live", "proposal", "accent", "warn", "symbol"):
        for ground in ("background", "cursor"):
            assert contrast(theme.colours[tone], theme.colours[ground]) >= 4.5, (tone, ground)


def test_deuteranopia_says_gain_in_blue_and_loss_in_orange():
    colours = ThemeShelf([THEMES]).load("deuteranopia").colours
    red, green, blue = (int(colours["gain"][place : place + 2], 16) for place in (1, 3, 5))
    assert blue > green > red
    red, green, blue = (int(colours["loss"][place : place + 2], 16) for place in (1, 3, 5))
    assert red > green > blue


def test_a_partial_theme_is_filled_from_the_defaults_of_its_kind(tmp_path):
    (tmp_path / "mine.toml").write_text('dark = false\n[colors]\ngain = "#010203"\n')
    theme = read_theme(tmp_path / "mine.toml")
    assert theme.colours == {**LIGHT, "gain": "#010203"}
    Palette(theme).style("gain")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("dark = true\n[colors\n", ["mine.toml:2", "TOML"]),
        ('[colors]\ngian = "#010203"\n', ["mine.toml:2", "gian", "'gain'"]),
        ('[colors]\n\ngain = "green"\n', ["mine.toml:3", "green", "#4cc38a"]),
        ('dark = "yes"\n', ["mine.toml:1", "true or false"]),
        ("size = 3\n", ["mine.toml:1", "size"]),
    ],
)
def test_a_bad_theme_is_one_sentence_with_file_and_line(tmp_path, source, words):
    (tmp_path / "mine.toml").write_text(source)
    problem = read_theme(tmp_path / "mine.toml")
    assert isinstance(problem, ThemeProblem)
    assert "\n" not in problem.text
    for word in words:
        assert word in problem.text


def test_the_users_folder_wins_and_an_unknown_name_lists_the_others(tmp_path):
    (tmp_path / "paper.toml").write_text('[colors]\ntext = "#123456"\n')
    shelf = ThemeShelf([THEMES, tmp_path])
    assert shelf.load("paper").colours["text"] == "#123456"
    assert shelf.names() == ("deuteranopia", "midnight", "paper")
    assert "midnight" in shelf.load("nope").text
    assert isinstance(shelf.load("../../etc/passwd"), ThemeProblem)


def test_there_is_always_a_theme(tmp_path):
    assert ThemeShelf([tmp_path / "missing"]).load("midnight") == BUILT_IN
    assert BUILT_IN.colours == DARK
