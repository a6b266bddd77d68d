"""Kinds of prints: the fallback list, the vendor's own names, unknown numbers counted."""

import numpy as np
import pytest

from qmterm.market.flow.conditions import FALLBACK, Conditions, Kind, kind_of_name

# OPRA's names by Polygon's numbers, as the conditions endpoint tells them.
NAMES = {
    201: "Canceled",
    202: "Late and Out Of Sequence",
    203: "Last and Canceled",
    204: "Late",
    205: "Opening Trade and Canceled",
    206: "Opening Trade, Late, And Out Of Sequence",
    207: "Only Trade and Canceled",
    208: "Opening Trade and Late",
    209: "Automatic Execution",
    210: "Reopening Trade",
    219: "Intermarket Sweep Order",
    227: "Single Leg Auction Non ISO",
    228: "Single Leg Auction ISO",
    229: "Single Leg Cross Non ISO",
    230: "Single Leg Cross ISO",
    231: "Single Leg Floor Trade",
    232: "Multi Leg auto-electronic trade",
    233: "Multi Leg Auction",
    234: "Multi Leg Cross",
    235: "Multi Leg floor trade",
    236: "Multi Leg auto-electronic trade against single leg(s)",
    237: "Stock Options Auction",
    238: "Multi Leg Auction against single leg(s)",
    239: "Multi Leg floor trade against single leg(s)",
    240: "Stock Options auto-electronic trade",
    241: "Stock Options Cross",
    242: "Stock Options floor trade",
    243: "Stock Options auto-electronic trade against single leg(s)",
    244: "Stock Options Auction against single leg(s)",
    245: "Stock Options floor trade against single leg(s)",
    246: "Multi Leg Floor Trade of Proprietary Products",
    247: "Multilateral Compression Trade of Proprietary Products",
    248: "Extended Hours Trade",
}


@pytest.mark.parametrize("number", sorted(NAMES))
def test_the_vendors_names_mean_the_kinds_of_our_list(number):
    assert kind_of_name(NAMES[number]) is FALLBACK[number]


def test_the_whole_list_of_the_service_changes_nothing_and_differs_nowhere():
    loaded = Conditions(NAMES)
    assert loaded.differs == ()
    assert all(loaded.kind([number]) is kind for number, kind in FALLBACK.items())


def test_a_number_the_service_adds_is_understood_by_its_name():
    loaded = Conditions({**NAMES, 251: "Multi Leg Something New", 252: "Qualified Rebalance"})
    assert loaded.kind([251]) is Kind.MULTILEG
    assert loaded.kind([252]) is Kind.REGULAR
    assert not loaded.unknown, "named by the service, so not unknown"


def test_a_number_that_means_something_else_today_is_told():
    loaded = Conditions({219: "Canceled"})
    assert loaded.kind([219]) is Kind.CANCEL
    assert loaded.differs == (219,)


def test_an_unknown_number_is_a_regular_print_and_is_counted():
    conditions = Conditions()
    kinds = conditions.kinds(np.array([[999, 0], [219, 0], [999, 0], [0, 0]]))
    assert kinds.tolist() == [Kind.REGULAR, Kind.ISO, Kind.REGULAR, Kind.REGULAR]
    assert conditions.unknown == {999: 2}


def test_of_several_conditions_a_cancel_and_a_late_report_win():
    conditions = Conditions()
    assert conditions.kind([219, 204]) is Kind.LATE
    assert conditions.kind([201, 232]) is Kind.CANCEL
    assert conditions.kind([-1, -1]) is Kind.REGULAR
