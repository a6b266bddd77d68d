"""What a server says is shown without the key, however it spells it, and steers no terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmterm.market.scrub import Scrub

KEY = "Secret/Key+12"


@pytest.mark.parametrize(
    "said", [KEY, "Secret%2FKey%2B12", "secret%2fkey%2b12", "Secret/Key%2B12", r"Secret\/Key+12", r"Secret\u002fKey+12"]
)
def test_the_key_is_taken_out_in_every_spelling(said):
    scrub = Scrub(KEY)
    assert scrub(f"Unknown API Key {said}, {said}!") == "Unknown API Key ***, ***!"
    assert scrub.finds(f"a {said} b")
    assert not scrub.finds("Unknown API Key")


def test_without_a_key_nothing_is_taken_for_one():
    assert Scrub("")("as it is") == "as it is"
    assert not Scrub("").finds("as it is")


@given(st.text())
def test_whatever_is_said_is_printable(said):
    assert Scrub(KEY)(said).isprintable()
    assert Scrub(KEY)("\x1b[2J\x1b]0;x\x07ok\n") == " [2J ]0;x ok "
