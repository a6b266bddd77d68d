"""The machine code leaves the board, the tape and the report bit for bit as the plain reading of the JSON does."""

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmterm.market.board.board import Board
from qmterm.market.board.plain import PlainDecoder
from qmterm.market.board.trades import TradeTape
from qmterm.market.board.wire import FrameDecoder, warm_up

warm_up()

MS0 = 1_772_463_600_000  # 10:00 New York, 2026-03-02
NS0 = MS0 * 1_000_000
HOUR = 3_600_000_000_000
STOCKS = ["AAPL", "MSFT", "SPY", "BRK.A"]
CONTRACTS = ["O:SPY261218C00500000", "O:BRKB271217P01000500", "O:AAPL1261218C00100000"]


class Pair:
    """The same frames to both decoders, each with a board and a tape of its own."""

    def __init__(self, cluster, tape_size=64):
        self.boards = [Board(STOCKS), Board(STOCKS)]
        for board in self.boards:
            board.start_session(NS0 - HOUR, NS0 + HOUR)
        self.tapes = [TradeTape(tape_size), TradeTape(tape_size)]
        self.fast = FrameDecoder(self.boards[0], cluster, self.tapes[0])
        self.plain = PlainDecoder(self.boards[1], cluster, self.tapes[1])

    def apply(self, frame, arrival_ns):
        fast, plain = self.fast.apply(frame, arrival_ns), self.plain.apply(frame, arrival_ns)
        assert fast == plain, frame
        self.check()
        return fast

    def check(self):
        one, other = self.boards
        for mine, theirs in ((one.stocks, other.stocks), (one.options, other.options)):
            assert mine.symbols == theirs.symbols
            assert mine.float_block.tobytes() == theirs.float_block.tobytes()
            assert mine.time_block.tobytes() == theirs.time_block.tobytes()
        for mine, theirs in zip(one.minutes.arrays, other.minutes.arrays, strict=True):
            assert mine.tobytes() == theirs.tobytes()
        mine, theirs = self.tapes
        assert mine.filled.tolist() == theirs.filled.tolist()
        assert mine.ints[:, : len(mine)].tobytes() == theirs.ints[:, : len(mine)].tobytes()
        assert mine.floats[:, : len(mine)].tobytes() == theirs.floats[:, : len(mine)].tobytes()


class Literal(float):
    """A number that is written as it was made."""

    def __new__(cls, text):
        made = super().__new__(cls, text)
        made.text = text
        return made


def written(value, spaced):
    """JSON with numbers by their literals; `spaced` puts white space wherever it is allowed."""
    gap = " \n\t" if spaced else ""
    if isinstance(value, Literal):
        return value.text
    if isinstance(value, dict):
        return (
            "{"
            + gap
            + f"{gap},{gap}".join(f"{json.dumps(k)}{gap}:{gap}{written(v, spaced)}" for k, v in value.items())
            + gap
            + "}"
        )
    if isinstance(value, list):
        return "[" + gap + f"{gap},{gap}".join(written(item, spaced) for item in value) + gap + "]"
    return json.dumps(value, ensure_ascii=isinstance(value, str) and "\\" in value)


prices = st.one_of(
    st.floats(0.01, 9_999).map(lambda value: round(value, 4)),
    st.integers(0, 10_000),
    st.floats(0, 1e6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [
            "1e3",
            "1.5E+2",
            "25e-1",
            "-0",
            "-0.0",
            "0.0",
            "-7.25",
            "1e400",
            "1e-400",
            "123456789012345678",
            "9007199254740993",
            "1e22",
            "1e23",
            "0.1e-21",
            "12345678901234567890",
            "0.000001",
            "114.12800000000001",
            "1E0",
            "4.35",
        ]
    ).map(Literal),
)
sizes = st.one_of(st.integers(0, 900), st.floats(0, 900).map(lambda value: round(value, 2)), prices)
stamps = st.one_of(
    st.integers(MS0 - 4_000_000, MS0 + 700_000),
    st.integers(MS0, MS0 + 50).map(lambda ms: ms * 1_000),
    st.integers(MS0, MS0 + 50).map(lambda ms: ms * 1_000_000),
    st.sampled_from([0, -1, MS0 // 1_000, 2**62, 2**62 - 1, 2**63, 2**64, 10**19, 10**25, 5 * 10**13, 9_999_999_999]),
    st.sampled_from(["1.0", "1e3", "1772463600000.0", "true", "null"]).map(
        lambda text: Literal("0") if text[0] in "tn" else Literal(text)
    ),
)
codes = st.one_of(
    st.none(),
    st.lists(
        st.sampled_from([0, 2, 12, 14, 15, 17, 18, 37, 38, 41, 52, 53, 63, 64, 209, 65_535, -1, 2**40]), max_size=6
    ),
)
names = {
    "stocks": st.sampled_from(
        [*STOCKS, "NEW", "A", "LONGEST-NAME-OF-ALL-STOCKS", "É", "X/Y", "", 'Q"T', "TWENTY-FOUR-LETTERS-HERE"]
    ),
    "options": st.sampled_from([*CONTRACTS, "SPY", "O:SPY261399C00500000", "O:", ""]),
}
others = st.dictionaries(
    st.sampled_from(["z", "q", "i", "bx", "otc", "longer_than_eight", "ev2", "", "é", 'a"b', "sy", "symb"]),
    st.one_of(
        st.integers(),
        st.booleans(),
        st.none(),
        st.text(max_size=4),
        st.lists(st.integers(), max_size=3),
        st.floats(allow_nan=False, allow_infinity=False),
        st.just([[1], {"a": [2]}]),
        st.just({"a": 1}),
        st.sampled_from(["1e999", "0.1234567890123456789012345"]).map(Literal),
    ),
    max_size=3,
)


@st.composite
def events(draw, cluster):
    sym = names[cluster]
    kind = draw(st.sampled_from(["Q", "Q", "T", "T", "A", "AM", "AM", "LULD", "FMV", "status"]))
    body = {"ev": kind}
    if kind == "Q":
        body |= {
            "sym": draw(sym),
            "bp": draw(prices),
            "ap": draw(prices),
            "bs": draw(sizes),
            "as": draw(sizes),
            "t": draw(stamps),
            "c": 1,
        }
    elif kind == "T":
        body |= {
            "sym": draw(sym),
            "p": draw(prices),
            "s": draw(sizes),
            "x": draw(st.integers(0, 400)),
            "t": draw(stamps),
            "c": draw(codes),
        }
    elif kind in ("A", "AM"):
        start = draw(st.one_of(st.integers(-70, 30).map(lambda minute: MS0 + 60_000 * minute), stamps))
        end = start + 60_000 if isinstance(start, int) else draw(stamps)
        four = [draw(prices) for _ in range(4)]
        low, open_, close, high = sorted(four) if draw(st.integers(0, 4)) else four
        body |= {
            "sym": draw(sym),
            **{"o": open_, "h": high, "l": low, "c": close},
            **{key: draw(prices) for key in ("av", "a", "op", "v", "vw")},
            "s": start,
            "e": end,
        }
    elif kind == "LULD":
        body |= {"T": draw(sym), "h": draw(prices), "l": draw(prices), "t": draw(stamps), "i": draw(codes)}
    elif kind == "status":
        body |= {"status": "success", "message": "subscribed to: T.AAPL"}
    else:
        body |= {"fmv": 3, "sym": draw(sym)}
    for key in draw(
        st.lists(st.sampled_from(sorted(body)), max_size=1) if draw(st.integers(0, 9)) == 0 else st.just([])
    ):
        del body[key]
    if draw(st.integers(0, 9)) == 0 and body:
        body[draw(st.sampled_from(sorted(body)))] = draw(st.sampled_from([None, "x", 5, [1], {}, True, "Q"]))
    if draw(st.integers(0, 5)) == 0:
        body = draw(others) | body | draw(others)
        if draw(st.booleans()):
            keys = draw(st.permutations(sorted(body)))
            body = {key: body[key] for key in keys}
    return body


def frames_of(cluster):
    return st.lists(st.tuples(st.lists(events(cluster), max_size=5), st.booleans()), min_size=1, max_size=5)


ARRIVALS = st.sampled_from([0, NS0 - 1, NS0 + 5_000_000_000, NS0 + HOUR])


@pytest.mark.parametrize("cluster", ["stocks", "options"])
def test_any_frames_leave_the_same_board(cluster):
    @settings(max_examples=40)
    @given(frames_of(cluster), ARRIVALS)
    def check(frames, arrival_ns):
        pair = Pair(cluster, tape_size=3)
        for body, spaced in frames:
            pair.apply(written(body, spaced).encode(), arrival_ns)

    check()


def usual(chance, kind, symbol, minute):
    price = round(chance.uniform(5, 500), 4)
    if kind == "Q":
        return {
            "ev": "Q",
            "sym": symbol,
            "bx": 4,
            "bp": price,
            "bs": 3,
            "ax": 7,
            "ap": price + 0.25,
            "as": 2,
            "c": 0,
            "i": [604],
            "t": MS0 + minute,
            "q": 5,
            "z": 3,
        }
    if kind == "T":
        return {
            "ev": "T",
            "sym": symbol,
            "x": 4,
            "i": "12345",
            "z": 3,
            "p": price,
            "s": 100,
            "c": [14, 41],
            "t": MS0 + minute,
            "q": 3,
            "trfi": 202,
        }
    if kind == "LULD":
        return {
            "ev": "LULD",
            "T": symbol,
            "h": price,
            "l": price / 2,
            "i": [chance.choice([16, 17, 18])],
            "z": 3,
            "t": (MS0 + minute) * 1000,
            "q": 9,
        }
    more = {"v": 200, "av": 8_642_007, "op": price, "vw": 25.3981, "a": 25.3714, "z": 50}
    return {
        "ev": kind,
        "sym": symbol,
        **more,
        "o": price,
        "c": price,
        "h": price,
        "l": price,
        "s": MS0 + 60_000 * minute,
        "e": MS0 + 60_000 * (minute + 1),
    }


def usual_frame(chance, symbols, count):
    return [
        usual(chance, chance.choice(["Q", "T", "A", "AM", "LULD"]), chance.choice(symbols), chance.randint(-30, 30))
        for _ in range(count)
    ]


def test_the_usual_frame_is_read_by_the_machine_code_and_any_size_of_it():
    chance = random.Random(3)
    pair = Pair("stocks", tape_size=400)
    symbols = [f"S{number}" for number in range(1_500)]  # the tables and the symbol index grow meanwhile
    for count in (0, 1, 2, 600, 40, 1_100, 300):
        report = pair.apply(json.dumps(usual_frame(chance, symbols, count), separators=(",", ":")).encode(), NS0 + HOUR)
        assert report.events == count
    assert pair.fast.slow_frames == 0
    assert len(pair.boards[0].stocks) > 700
    assert pair.tapes[0].take().dropped == pair.tapes[1].take().dropped > 0


def test_option_symbols_of_every_length_are_read_by_the_machine_code():
    chance = random.Random(4)
    pair = Pair("options")
    for _ in range(5):
        pair.apply(json.dumps(usual_frame(chance, CONTRACTS, 30)).encode(), NS0 + HOUR)
    assert pair.fast.slow_frames == 0
    assert len(pair.boards[0].options) == len(CONTRACTS)


def test_frames_broken_at_any_byte_leave_the_same_board():
    """Cut, changed, doubled and dropped bytes: most are no JSON any more, some still are."""
    chance = random.Random(5)
    pair = Pair("stocks", tape_size=1 << 14)
    letters = b'"\\{}[],:0123456789.eE-+ntf \x00\x01\x7f\x80\xffAQT'
    for _ in range(1_500):
        frame = bytearray(json.dumps(usual_frame(chance, STOCKS, 2), separators=(",", ":")).encode())
        for _ in range(chance.randint(1, 2)):
            at = chance.randrange(len(frame))
            match chance.randrange(4):
                case 0:
                    frame[at] = chance.choice(letters)
                case 1:
                    frame.insert(at, chance.choice(letters))
                case 2:
                    del frame[at]
                case 3:
                    del frame[at:]
                    frame = frame or bytearray(b"[")
        pair.apply(bytes(frame), NS0 + HOUR)
    assert 100 < pair.fast.slow_frames < 1_500


@given(st.binary(max_size=60))
def test_any_bytes_leave_the_same_board(frame):
    pair = Pair("stocks")
    for text in (frame, b"[" + frame, b'[{"ev":"Q",' + frame, b'[{"ev":"T","sym":"AAPL","t":1,"p":' + frame):
        pair.apply(text, NS0)


def test_every_written_price_is_the_double_the_json_reader_makes_of_it():
    chance = random.Random(6)
    pair = Pair("stocks")
    for _ in range(400):
        digits = chance.randint(1, 19)
        text = str(chance.randrange(10**digits)).zfill(chance.randint(1, digits))
        point = chance.randint(1, len(text))
        text = text[:point].lstrip("0").rjust(1, "0") + ("." + text[point:] if point < len(text) else "")
        text += chance.choice(["", "", f"e{chance.randint(-30, 30)}"])
        if float(text) < 1e15:
            pair.apply(f'[{{"ev":"Q","sym":"SPY","bp":{text},"t":{MS0}}}]'.encode(), NS0)
            assert pair.boards[0].stocks.bid[2] == float(text)
    assert pair.fast.slow_frames < 200


@pytest.mark.parametrize("tail", ["", ',{"ev":"XX","sym":"AAPL","t":1}'], ids=["last", "amid"])
def test_numbers_of_any_length_are_read_alike_anywhere_in_the_text(tail):
    """Eight letters at a time where there are as many, one by one at the end of the text."""
    pair, chance = Pair("stocks"), random.Random(8)
    for digits in range(1, 20):
        for places in range(0, 12):
            for _ in range(3):
                whole = (
                    str(chance.randrange(10 ** (digits - 1), 10**digits)) if digits > 1 else str(chance.randrange(10))
                )
                part = "".join(chance.choice("0123456789") for _ in range(places))
                price = whole + ("." + part if places else "") + chance.choice(["", "", "", "e1", "E-2"])
                when = str(MS0 + digits * 100 + places)[: chance.randint(1, 13)] + chance.choice(
                    ["", "", ".5", "e1", "000"]
                )
                frame = f'[{{"ev":"Q","sym":"AAPL","t":{when},"ap":{price},"bp":{price}}}{tail}]'.encode()
                pair.apply(frame, NS0)
                bare = f'[{{"ev":"Q","sym":"MSFT","bp":{price},"t":{when}}}{tail}]'.encode()
                pair.apply(bare, NS0)
    assert pair.boards[0].stocks.bid[0] > 0


def test_a_trade_on_the_tape_has_the_quote_that_stood_when_it_printed():
    board, tape = Board(STOCKS), TradeTape(3)
    decoder = FrameDecoder(board, "options", tape)
    contract = CONTRACTS[0]

    def quote(bid, ms):
        return {"ev": "Q", "sym": contract, "bp": bid, "ap": bid + 1, "bs": 1, "as": 1, "t": MS0 + ms}

    def trade(price, ms, **more):
        return {"ev": "T", "sym": contract, "p": price, "s": 7, "x": 302, "t": MS0 + ms} | more

    body = [trade(1, 0), quote(2, 1), trade(3, 2, c=[209, 1, 2, 3, 4]), quote(4, 3), trade(5, 1), trade(9, 9)]
    assert decoder.apply(json.dumps(body).encode(), NS0 + HOUR).trades == 4
    found = tape.take()
    assert found.price.tolist() == [1, 3, 5]
    np.testing.assert_array_equal(found.bid, [np.nan, 2, 4])
    np.testing.assert_array_equal(found.ask, [np.nan, 3, 5])
    assert found.quote_ns.tolist() == [0, NS0 + 1_000_000, NS0 + 3_000_000]
    assert found.conditions.tolist() == [[-1] * 4, [209, 1, 2, 3], [-1] * 4]
    assert (found.size[0], found.exchange[0], found.row[0], found.dropped) == (7, 302, 0, 1)
    assert len(tape) == 0
    assert len(tape.take()) == 0


def test_price_bands_halt_and_resume_a_stock():
    board = Board(STOCKS)
    decoder = FrameDecoder(board, "stocks")

    def band(second, *indicators, high=110.0):
        body = {
            "ev": "LULD",
            "T": "SPY",
            "h": high,
            "l": 90.0,
            "i": list(indicators),
            "t": (MS0 + 1_000 * second) * 1_000,
        }
        return decoder.apply(json.dumps([body]).encode(), NS0 + HOUR)

    row, table = board.stocks.numbers["SPY"], board.stocks
    band(1)
    assert (table.band_high[row], table.band_low[row], table.halted_ns[row]) == (110, 90, 0)
    band(2, 17)
    assert table.halted_ns[row] == table.band_ns[row] == NS0 + 2_000_000_000
    band(3, 16, high=111.0)  # new bands do not end a halt
    assert table.halted_ns[row] == NS0 + 2_000_000_000
    assert band(2, 18).late == 1
    assert table.halted_ns[row] > 0
    band(4, 18)
    assert (table.halted_ns[row], table.band_high[row]) == (0, 110)


def test_sale_conditions_follow_the_one_table():
    board = Board(STOCKS)
    decoder = FrameDecoder(board, "stocks")
    seen = {}
    for code in (0, 2, 12, 15, 37, 38, 53, 63, 64, 300):
        body = {"ev": "T", "sym": "SPY", "p": code + 1, "s": 1, "t": MS0 + code, "c": [0, code]}
        decoder.apply(json.dumps([body]).encode(), NS0 + HOUR)
        seen[code] = board.last_price("SPY") == code + 1
    assert [code for code, taken in seen.items() if not taken] == [2, 15, 37, 53]
    assert decoder.slow_frames == 0


def test_until_the_machine_code_is_loaded_frames_are_read_plainly(monkeypatch):
    from qmterm.market.board import wire

    loaded = wire._machine_code.run
    monkeypatch.setattr(wire._machine_code, "run", None)
    board = Board(STOCKS)
    decoder = FrameDecoder(board, "stocks")

    def trade(price):
        body = {"ev": "T", "sym": "SPY", "p": price, "s": 1, "t": MS0 + price}
        assert decoder.apply(json.dumps([body]).encode(), NS0).trades == 1
        return board.last_price("SPY")

    assert trade(1) == 1
    monkeypatch.setattr(wire._machine_code, "run", loaded)
    assert trade(2) == 2
