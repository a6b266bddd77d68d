from types import SimpleNamespace as Made

from qmterm.engine.show.watch_list import standing
from qmterm.market.stream.order import Standing


def engaged(look=""):
    return Made(
        book=Made(positions=[Made(underlying="SPY"), Made(underlying="BRKB"), Made(underlying="SPY")]),
        desk=Made(ledger=Made(working=[Made(intent=Made(underlying="AAPL"))])),
        proposals=Made(waiting=[Made(underlying="NVDA")]),
        look=Made(symbol=look),
        entries=Made(candidates=("TSLA", "AMD")),
        scanning=Made(ticker=lambda symbol: {"BRKB": "BRK.B"}.get(symbol, symbol)),
    )


def test_positions_and_working_orders_stand_first_by_their_stocks_own_names():
    assert standing(engaged()) == Standing(("AAPL", "BRK.B", "SPY"), ("NVDA",), ("TSLA", "AMD"))


def test_what_is_on_the_screen_is_watched():
    assert standing(engaged(look="MSFT")).watched == ("MSFT", "NVDA")
