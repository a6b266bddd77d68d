"""No limit is broken by any subset of working and unknown orders filling, over random books and random orders.

The long form is issue 5's own: 100,000 books (`python -m pytest -n 0 -m drill tests/risk/test_limit_breaches.py -s`).
"""

from __future__ import annotations

import pytest

from tests.risk.random_books import RandomAccount

STEPS = 14


def run(seeds):
    approved = refused = 0
    failed = []
    for seed in seeds:
        account = RandomAccount(seed)
        account.live(STEPS)
        approved, refused = approved + account.approved, refused + account.refused
        if account.breaches:
            failed.append((seed, account.breaches, account.story))
    return approved, refused, failed


def test_no_subset_of_fills_breaks_a_limit():
    approved, refused, failed = run(range(400))
    assert failed == []
    assert approved > 400  # the gate is no wall
    assert refused > 400  # and no door


@pytest.mark.drill
@pytest.mark.timeout(0)
def test_drill_a_hundred_thousand_books():
    approved, refused, failed = run(range(100_000))
    print(f"\n100,000 books, {approved:,} orders approved, {refused:,} refused, {len(failed)} with a breach")
    assert failed == []
