"""The last look: the first rule that has something against one of the orders keeps all of them back."""

from dataclasses import replace

import pytest

from qmterm.broker.last_look import ask_once_more, free
from qmterm.core.errors import Withheld
from qmterm.core.reasons import Reason
from tests.broker.conftest import buy


def against(name, reason):
    return lambda intent: reason if intent.intent_id == name else None


def test_orders_that_no_rule_is_against_pass():
    ask_once_more((buy(), buy(intent_id="qm-2")), free, against("qm-3", Reason.USER))


def test_one_of_a_bracket_keeps_back_all_and_the_first_rule_that_is_against_it_says_why():
    both = tuple(replace(buy(intent_id=name), bracket_id="b-1") for name in ("qm-1", "qm-2"))
    with pytest.raises(Withheld, match=r"bracket b-1 was kept back at the last moment \(NOT_ARMED\)") as kept:
        ask_once_more(both, against("qm-2", Reason.NOT_ARMED), against("qm-2", Reason.LADDER_HALT))
    assert kept.value.code == "NOT_ARMED"
