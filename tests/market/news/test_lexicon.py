"""Word lists: finance's own meaning of words, the user's own file, bad files refused in a sentence."""

import pytest

from qmterm.core.errors import BadInput
from qmterm.market.news.lexicon import UserWords, Vader


@pytest.fixture(scope="module")
def vader():
    return Vader()


@pytest.mark.parametrize(
    "headline",
    [
        "Gross margin and crude oil yields in focus for the securities trust",
        "Company to present cancer drug data and share count",
    ],
)
def test_words_that_mean_nothing_here_have_no_tone(vader, headline):
    assert vader.tone(headline) == 0.0


@pytest.mark.parametrize("headline", ["Acme beats estimates, raises outlook", "Analyst upgrades Acme to buy"])
def test_good_headlines(vader, headline):
    assert vader.tone(headline) > 0.3


@pytest.mark.parametrize(
    "headline",
    ["Shares plunge after profit warning", "Acme faces probe", "Acme downgraded", "Acme nears bankruptcy"],
)
def test_bad_headlines(vader, headline):
    assert vader.tone(headline) < -0.3


def test_it_prints_nothing(vader, capsys):
    vader.tone("This is the bomb, cut the mustard, yeah right")
    assert capsys.readouterr() == ("", "")


def test_a_list_of_the_users_own(tmp_path):
    file = tmp_path / "words.csv"
    file.write_text("Word,Negative,Positive,Syllables\nLOSS,2009,0,1\nGAIN,0,2009,1\nTABLE,0,0,2\nOLD,-2020,0,1\n")
    words = UserWords.read(file)
    assert words.label == "user"
    assert words.tone("Loss, loss and gain on the old table") == pytest.approx(-1 / 3)
    assert words.tone("nothing said") == 0.0


@pytest.mark.parametrize(
    ("text", "what"),
    [("a,b\n1,2\n", "columns Word"), ("Word,Positive,Negative\nx,0,0\n", "no word"), (None, "cannot be read")],
)
def test_a_file_that_is_no_list(tmp_path, text, what):
    file = tmp_path / "words.csv"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadInput, match=what):
        UserWords.read(file)
