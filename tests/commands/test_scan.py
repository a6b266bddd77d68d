"""`qmterm scan` on real prices agrees with TA-Lib, tells what it did not check, and refuses bad files in a sentence."""

import io
import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import talib

from qmterm.commands.scan import run
from qmterm.core.errors import BadInput
from qmterm.core.settings.strategy import ScannerSettings
from qmterm.tape.bars import read_daily

REAL = Path(__file__).parents[1] / "data" / "wiki_equity_2014.parquet"
SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "wiki_equity_daily.parquet"
KEYS = [
    "symbol",
    "close",
    "sma50",
    "atr14",
    "atr_distance",
    "atr_pct_multiple",
    "strength",
    "confidence",
    "state",
    "failed",
    "not_checked",
    "age_s",
]


def scan_json(path=REAL, as_of=None, **more):
    out = io.StringIO()
    assert run(path, as_of, as_json=True, out=out, **more) == 0
    return json.loads(out.getvalue().splitlines()[-1])


def agrees_with_talib(path, as_of):
    panel = read_daily(path, as_of)
    rows = {row["symbol"]: row for row in scan_json(path, as_of)["rows"]}
    compared = 0
    for number, symbol in enumerate(panel.symbols):
        kept = int(panel.bars[number])
        high, low, close = (getattr(panel, name)[number, -kept:] for name in ("high", "low", "close"))
        if kept < 50:
            assert rows[symbol]["sma50"] is None
            continue
        sma50 = talib.SMA(close, 50)[-1]
        atr14 = talib.ATR(high, low, close, 14)[-1]
        assert rows[symbol]["close"] == close[-1]
        assert rows[symbol]["sma50"] == pytest.approx(sma50, rel=1e-6)
        assert rows[symbol]["atr14"] == pytest.approx(atr14, rel=1e-6)
        assert rows[symbol]["atr_distance"] == pytest.approx((close[-1] - sma50) / atr14, abs=1e-6)
        compared += 1
    return compared


@pytest.mark.parametrize("as_of", [date(2014, 5, 30), date(2014, 6, 9), date(2014, 9, 15), date(2014, 12, 31)])
def test_real_prices_agree_with_talib(as_of):
    assert agrees_with_talib(REAL, as_of) >= 2


@pytest.mark.skipif(not SHARED.exists(), reason=f"the full set of real prices is not at {SHARED}")
@pytest.mark.parametrize("as_of", [date(2008, 10, 10), date(2012, 3, 1), date(2014, 12, 31)])
def test_the_full_set_of_real_prices_agrees_with_talib(as_of):
    assert agrees_with_talib(SHARED, as_of) >= 5


def test_rows_have_the_columns_other_programs_rely_on():
    document = scan_json(as_of=date(2014, 12, 31))
    assert [list(row) for row in document["rows"]] == [KEYS] * 3
    assert document["as_of"] == "2014-12-31"
    confidence = [row["confidence"] for row in document["rows"]]
    assert confidence == sorted(confidence, reverse=True)


def test_listed_options_are_reported_as_not_checked():
    document = scan_json()
    assert all(row["not_checked"] == ["NO_OPTIONS"] for row in document["rows"])
    unasked = scan_json(scanner=ScannerSettings(require_options=False))
    assert all(row["not_checked"] == [] for row in unasked["rows"])


def test_a_short_history_has_no_numbers_it_cannot_have():
    row = next(row for row in scan_json(as_of=date(2014, 6, 30))["rows"] if row["symbol"] == "ZEN")
    assert row["sma50"] is None
    assert row["atr_distance"] is None
    assert row["confidence"] is None
    assert row["state"] == "NO_DATA"
    assert "TOO_FEW_BARS" in row["failed"]


def test_age_is_the_time_since_the_last_bar_at_the_close_of_the_scan(tmp_path):
    import pyarrow.parquet as pq

    table = pq.read_table(REAL, filters=[("symbol", "!=", "ZEN")])
    ends = np.array(table["date"].to_pylist(), dtype="datetime64[D]") <= np.where(
        np.array(table["symbol"].to_pylist()) == "MSFT", np.datetime64("2014-12-12"), np.datetime64("2014-12-15")
    )
    path = tmp_path / "ends.parquet"
    pq.write_table(table.filter(ends), path)
    rows = {row["symbol"]: row for row in scan_json(path, date(2014, 12, 15))["rows"]}
    assert rows["AAPL"]["age_s"] == 0
    assert rows["MSFT"]["age_s"] == 3 * 86_400  # Friday's close to Monday's


def test_the_table_is_plain_text_with_one_line_a_symbol():
    out = io.StringIO()
    assert run(REAL, date(2014, 12, 31), out=out) == 0
    lines = out.getvalue().splitlines()
    assert lines[0].split()[:4] == ["SYMBOL", "CLOSE", "SMA50", "ATR14"]
    assert sorted(line.split()[0] for line in lines[1:4]) == ["AAPL", "MSFT", "ZEN"]
    assert lines[4].startswith("3 of 3 symbols at the close of 2014-12-31")
    assert "not checked: NO_OPTIONS" in lines[5]
    assert "nan" not in out.getvalue().lower()


def test_limit_keeps_the_first_rows():
    assert [row["symbol"] for row in scan_json(limit=1)["rows"]] == [scan_json()["rows"][0]["symbol"]]


def test_a_bad_file_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="does not exist") as caught:
        run(tmp_path / "none.parquet")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
