"""`qmterm bench stream` on a tiny size: every row is there, and no number of any board differs."""

import json

from qmterm.bench import stream
from qmterm.market.board.board import Board
from qmterm.market.board.wire import FrameDecoder


def test_every_row_is_measured_without_a_difference(qmterm):
    code, out, err = qmterm("bench", "stream", "--size", "60", "--quick", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    hundred, ten, one, flood, middle, late, snapshot = found["rows"]
    assert found["not_measured"] == []
    for row in (hundred, ten, one, flood):
        assert row["max_error"] == 0
        assert row["ratio"] > 1
        assert "polygon-api-client" in row["peer_name"]
    assert middle["ours"] < late["ours"]
    assert middle["ratio"] * middle["ours"] > 0
    assert (snapshot["work"], snapshot["max_error"]) == ("snapshot of 60 tickers to the board", 0)


def test_a_board_that_is_not_the_same_is_counted():
    symbols = stream.names(40)
    frames = stream.stream_frames(symbols, 3, 20)
    board = Board(symbols)
    decoder = FrameDecoder(board, "stocks")
    for frame in frames:
        decoder.apply(frame, 0)
    expected = stream.json_board(symbols, frames)
    assert stream.differences(board, expected) == 0
    board.stocks.bid[3] += 1e-9
    board.stocks.quote_ns[4] += 1
    assert stream.differences(board, expected) in (1, 2)  # the bid may be unknown
