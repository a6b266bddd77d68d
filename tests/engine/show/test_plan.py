"""What the plan lacks is named once and in words, however many channels were refused."""

from qmterm.engine.show.plan import lacking, plan_words
from qmterm.engine.view import HeaderView


def test_refused_channels_are_the_kind_of_data_that_is_missing():
    refused = ("Q.AAPL", "Q.MSFT", "T.AAPL", "Q.O:AAPL260320C00100000", "LULD.*", "option trades", "(not named)")
    assert lacking(refused) == (
        "halts and bands",
        "live quotes",
        "live quotes of options",
        "live trades",
        "option trades",
        "some live channels",
    )
    assert lacking(()) == ()


def test_a_plan_that_lacks_nothing_and_has_calls_left_is_two_numbers():
    assert plan_words(HeaderView()) == ""
    assert plan_words(HeaderView(calls_made=3, calls_per_minute=5)) == "calls 3/5 a minute "


def test_a_wait_and_what_is_missing_are_said():
    header = HeaderView(calls_made=5, calls_per_minute=5, calls_wait_s=24.2, not_in_plan=("news", "option trades"))
    said = "calls 5/5 a minute (the next of the scan in 24 s) (not in plan: news, option trades) "
    assert plan_words(header) == said
