"""Configuration: defaults that are safe, a shipped file that equals them, and errors that name line and key."""

from decimal import Decimal
from pathlib import Path

import pytest

from qmterm.core.errors import ConfigError
from qmterm.core.settings.engine import BrokerName, Mode, Source
from qmterm.core.settings.model import Settings, parse_settings, render_config, render_values
from qmterm.core.settings.render import toml_value

SHIPPED = Path(__file__).parents[2] / "config.toml"


def wrong(text, file="c.toml"):
    """The message for a bad configuration; the test fails when it is taken."""
    with pytest.raises(ConfigError) as caught:
        parse_settings(text, file)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_defaults_are_paper_on_live_prices_asking_first():
    engine = Settings().engine
    assert (engine.source, engine.broker, engine.mode, engine.live) == (
        Source.POLYGON,
        BrokerName.PAPER,
        Mode.CONFIRM,
        False,
    )


def test_shipped_file_is_exactly_what_the_models_say():
    # After changing a setting: python -c "from qmterm.core.settings.model import *; print(render_config(), end='')"
    assert SHIPPED.read_text(encoding="utf-8") == render_config(), "config.toml must be written again from the models"


def test_shipped_file_reads_back_as_the_defaults():
    assert parse_settings(SHIPPED.read_text(encoding="utf-8"), "config.toml") == Settings()


def test_every_default_may_be_uncommented_as_it_stands():
    """Taking away every `#` before a key leaves a valid file with the same values, but for the key without one."""
    lines = [
        line[1:] if line.startswith("#") and not line.startswith(("# ", "#\n")) and "=" in line else line
        for line in render_config().splitlines()
    ]
    read = parse_settings("\n".join(lines), "c.toml")
    assert read.disconnect.policy is not None
    same = read.model_copy(update={"disconnect": Settings().disconnect})
    assert same == Settings()


def test_every_key_is_explained_in_the_shipped_file():
    lines = render_config().splitlines()
    for number, line in enumerate(lines):
        if line.startswith("#") and " = " in line and not line.startswith("# "):
            assert lines[number - 1].startswith("# "), f"line {number + 1} has no explanation above it: {line}"


def test_a_value_of_ones_own_is_written_uncommented_and_reads_back():
    mine = parse_settings(
        '[engine]\nmode = "auto"\n[paper]\nstarting_cash = 25000.5\n[disconnect]\npolicy = "keep"', "x"
    )
    text = render_config(mine)
    assert '\nmode = "auto"\n' in text
    assert "\nstarting_cash = 25000.5\n" in text
    assert parse_settings(text, "x") == mine


def test_values_in_force_read_back_alike():
    mine = parse_settings('[ui]\nkeys = { approve = ["a", "ctrl+b"], "chain.buy" = "\\"" }\n', "x")
    assert parse_settings(render_values(mine), "x") == mine


def test_cash_stays_decimal():
    cash = parse_settings("[paper]\nstarting_cash = 100000.10", "x").paper.starting_cash
    assert cash == Decimal("100000.10")


def test_empty_file_and_byte_order_mark_are_the_defaults():
    assert parse_settings("", "c.toml") == Settings()
    assert parse_settings("\ufeff# written by Notepad\n", "c.toml") == Settings()


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ('[engine]\nmode = "autoo"', "c.toml:2: engine.mode:", "'confirm' or 'auto' (got 'autoo')"),
        ("[engine]\n\n\nhistory_sessions = 5", "c.toml:4: engine.history_sessions:", "greater than or equal to 210"),
        ('[engine]\nhistory_sessions = "abc"', "c.toml:2: engine.history_sessions:", "integer"),
        ("[engine]\nmodee = 1", "c.toml:2: engine.modee:", "did you mean 'mode'?"),
        ("[polgyon]\nplan = 1", "c.toml:1: polgyon:", "unknown section; did you mean 'polygon'?"),
        ("[zzz]", "c.toml:1: zzz:", "unknown section; valid here: analysis"),
        ('mode = "auto"', "c.toml:1: mode:", "it belongs under [engine]"),
        ("[ui]\nprice_band = 0.1", "c.toml:2: ui.price_band:", "it belongs under [orders] or [risk]"),
        ("[risk]\nmax_trade_risk = nan", "c.toml:2: risk.max_trade_risk:", "finite number"),
        ("[paper]\nstarting_cash = inf", "c.toml:2: paper.starting_cash:", "finite number"),
        (
            "# why not\n[risk]\nmax_trade_risk = 0.5",
            "c.toml:2: risk:",
            "max_trade_risk (0.5) must not be above max_symbol_risk (0.05)",
        ),
        ('[ui]\nbar_age_s = [1, 2, "x"]', "c.toml:2: ui.bar_age_s.2:", "number"),
        ('[engine]\nlive = "maybe"', "c.toml:2: engine.live:", "boolean"),
        ('[polygon]\nrest_url = "ftp://x"', "c.toml:2: polygon.rest_url:", "not an address such as https://host"),
        ("engine = 5", "c.toml:1: engine:", "write [engine] on a line of its own"),
        ('[[engine]]\nmode = "auto"', "c.toml:1: engine:", "write [engine] on a line of its own"),
        ('engine.mode = "x"', "c.toml:1: engine.mode:", "'confirm' or 'auto'"),
        ("[atr_matrix]\nscale_out = []", "c.toml:2: atr_matrix.scale_out:", "at least 1 item"),
        ("[engine]\nmode = ", "c.toml:2: not valid TOML:", "text needs quotes"),
        ("[engine]\nmode = auto", "c.toml:2: not valid TOML:", "text needs quotes"),
        ('[engine]\nmode = "auto"\nmode = "auto"', "c.toml:3: not valid TOML:", "set twice"),
        ("[engine]\n[risk]\n[engine]", "c.toml:3: not valid TOML:", "[engine] stands here a second time"),
        ('[engine]\nmode = "auto', "c.toml:2: not valid TOML:", ""),
        ("what is this", "c.toml:1: not valid TOML:", ""),
    ],
)
def test_bad_input_is_one_line_with_file_line_key_and_what_to_do(text, where, what):
    message = wrong(text)
    assert message.startswith(where)
    assert what in message
    assert "\n" not in message


def test_every_problem_is_told_at_once():
    message = wrong('[engine]\nscan_every_s = 0\nmode = "x"\n[ui]\nfoo = 1')
    assert [line.split(" ")[0] for line in message.splitlines()] == ["c.toml:3:", "c.toml:2:", "c.toml:5:"]


def test_a_secret_in_the_file_is_sent_to_the_keyring_and_not_repeated():
    message = wrong('[polygon]\napi_key = "pk_live_1234567890"')
    assert "qmterm config secret set" in message
    assert "1234567890" not in message


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('a "b"\\\n', '"a \\"b\\"\\\\\\n"'),
        ("\x01", '"\\u0001"'),
        (2.0, "2"),
        (0.1, "0.1"),
        (1e300, "1e+300"),
        (None, None),
        ((), "[]"),
    ],
)
def test_values_are_written_as_toml(value, text):
    assert toml_value(value) == text


def test_a_value_of_no_known_kind_is_refused_and_not_guessed():
    with pytest.raises(TypeError, match="object"):
        toml_value(object())
