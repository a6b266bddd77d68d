"""Orders in words from a seat at the engine, over loopback: a typed spread fills, then rolls with all its legs."""

from __future__ import annotations

import pytest

from qmterm.commands.simulator import SimWish
from qmterm.core.instruments import parse_option
from qmterm.engine.commands import ApproveProposal, RejectProposal, RollPosition, SelectSymbol, StageTicket
from qmterm.journal.audit import audit
from tests.end_to_end.running import until
from tests.end_to_end.seat import seated

pytestmark = pytest.mark.timeout(400)


def log_of(thread) -> str:
    return "\n".join(f"{line.level} {line.kind} {line.text}" for line in thread.snapshot.log[-40:])


def staged(thread, command):
    """The answer to a ticket or a roll and, once it is approved, nothing more to ask: quotes may come late."""

    def sent():
        for waiting in thread.snapshot.proposals:
            if waiting.purpose == "entry" and len(waiting.legs) == 1:
                thread.send(RejectProposal(waiting.proposal_id))  # the strategy's own: not what this is about
        answer = thread.send(command).result(20)
        if not answer.ok:
            seen.append(answer.text)
            return None
        shown = answer.data
        approved = thread.send(ApproveProposal(shown["proposal"], str(shown["limit"]))).result(10)
        seen.append(approved.text)
        return answer if approved.ok else None

    seen: list[str] = []
    return until(sent, 60, lambda: "\n".join(seen[-5:]) + "\n" + log_of(thread))


def held(thread):
    return {position.symbol: position.quantity for position in thread.snapshot.positions}


@pytest.fixture(scope="module")
def sitting(home, tmp_path_factory):
    seen = {"journal": tmp_path_factory.mktemp("lines") / "j.sqlite"}
    with seated(home, seen["journal"], SimWish(seed=7, symbols=100, start="2026-03-02T09:31", speed=30)) as thread:
        # A first start after a change of the kernels compiles them: minutes on a busy machine.
        until(lambda: thread.snapshot.scan.rows, 180, lambda: "no scan yet\n" + log_of(thread))
        seen["garbage"] = thread.send(StageTicket("buy 1 ZZZQQ 17APR26 10C")).result(20)
        seen["expired"] = thread.send(StageTicket("buy 1 SPY 20FEB26 500C")).result(20)
        symbol = "SPY" if thread.send(SelectSymbol("SPY")).result(10).ok else thread.snapshot.scan.rows[0].symbol
        thread.send(SelectSymbol(symbol)).result(10)

        def chain():
            found = thread.snapshot.chain
            return found if found is not None and found.symbol == symbol and len(found.rows) > 6 else None

        found = until(chain, 60, lambda: log_of(thread))
        low, high = (parse_option(found.rows[found.at_the_money + n].call.occ) for n in (0, 1))
        seen["legs"] = {low.occ: 1, high.occ: -1}
        seen["ticket"] = staged(thread, StageTicket(f"buy 1 {low} / sell 1 {high}"))
        until(lambda: held(thread) == seen["legs"], 90, lambda: log_of(thread))
        seen["rules"] = {position.rules for position in thread.snapshot.positions}
        seen["roll"] = staged(thread, RollPosition(thread.snapshot.positions[0].trade_id))

        def rolled():
            """All of it: the four fills are counted one by one."""
            now = held(thread)
            return now if len(now) == len(seen["legs"]) and not now.keys() & seen["legs"].keys() else None

        seen["after"] = until(rolled, 90, lambda: log_of(thread))
    seen["body"] = thread.result
    return seen


def test_what_cannot_be_meant_is_a_sentence_and_nothing_is_sent(sitting):
    assert "no symbol ZZZQQ is listed" in sitting["garbage"].text
    assert "expired on 2026-02-20" in sitting["expired"].text


def test_a_typed_spread_walks_to_its_fill_and_both_legs_show_its_rules(sitting):
    assert "walks to" in sitting["ticket"].text
    (rules,) = sitting["rules"]
    assert rules.startswith("no stop price · ")


def test_a_roll_moves_every_leg_to_the_next_expiry_with_its_strike(sitting):
    before = sorted((parse_option(occ).strike, quantity) for occ, quantity in sitting["legs"].items())
    after = sorted((parse_option(occ).strike, quantity) for occ, quantity in sitting["after"].items())
    assert before == after
    assert min(parse_option(occ).expiry for occ in sitting["after"]) > max(
        parse_option(occ).expiry for occ in sitting["legs"]
    )


def test_its_journal_is_sound(sitting):
    found = audit(sitting["journal"])
    assert found.faults == ()
    assert found.positions == sitting["after"]
    assert sitting["body"].errors == 0
