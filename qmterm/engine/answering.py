"""Every command of a person, from the screen, the socket or a shell, gets exactly one answer here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict

from qmterm.core.errors import QmtermError
from qmterm.engine import answering_ladder
from qmterm.engine.commands import (
    ApproveProposal,
    Arm,
    CancelOrder,
    ClosePosition,
    Command,
    CommandResult,
    Disarm,
    EditOrder,
    Flatten,
    Kill,
    ListOrders,
    Pause,
    ReadBook,
    ReadFlow,
    Reconcile,
    RejectProposal,
    Resume,
    RollPosition,
    Scan,
    SelectExpiry,
    SelectSymbol,
    StageOrder,
    StageTicket,
    Status,
    StopEngine,
    Why,
)
from qmterm.engine.parts import Engaged, Parts
from qmterm.engine.show.book_answers import book_answer
from qmterm.engine.show.order_list import ledger_rows
from qmterm.engine.show.plan import plan_words
from qmterm.engine.show.scan_answer import MOST, scan_document
from qmterm.engine.show.trail import trail_events, trail_lines
from qmterm.engine.thread import Mailbox

LOST_NAMED, LOST_LISTED = 5, 100  # symbols that lack minutes: in the line of words, in the JSON


class Answering:
    def __init__(self, engaged: Engaged, parts: Parts, stop: Callable[[str], None]) -> None:
        self._engaged = engaged
        self._parts = parts
        self._stop = stop
        self._running: set[asyncio.Task[None]] = set()

    async def serve(self, mailbox: Mailbox) -> None:
        """Answer each command in its own task: a slow one (reconcile) must not hold up a kill."""
        while True:
            command, answer = await mailbox.take()

            task = asyncio.create_task(self._respond(command, answer))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _respond(self, command: Command, answer: Future[CommandResult]) -> None:
        try:
            answer.set_result(await self.answer(command))
        finally:
            if not answer.done():
                answer.set_result(CommandResult(False, "the engine stopped before it could answer"))

    async def answer(self, command: Command) -> CommandResult:
        """Never raises: the screen's queue and the control socket both hand this on."""
        try:
            return await self._answer(command)
        except QmtermError as error:
            self._parts.log.error("CMD", f"{type(command).__name__}: {error}")
            return CommandResult(False, str(error))
        except Exception as error:  # a broken command is shown and answered; the engine goes on
            self._parts.log.error("CMD", f"{type(command).__name__}: {type(error).__name__}: {error}")
            if self._parts.on_trace is not None:
                self._parts.on_trace(error)
            return CommandResult(False, f"it failed ({type(error).__name__}); the log says more")

    async def _answer(self, command: Command) -> CommandResult:
        engaged = self._engaged
        match command:
            case ApproveProposal():
                return engaged.approvals.approve(command)
            case RejectProposal():
                return await engaged.approvals.reject(command)
            case CancelOrder():
                return await engaged.approvals.cancel(command)
            case ClosePosition():
                return engaged.approvals.close(command)
            case StageOrder():
                return engaged.approvals.stage(command)
            case StageTicket():
                return await engaged.tickets.stage(command)
            case RollPosition():
                return await engaged.rolls.roll(command)
            case EditOrder():
                return engaged.edits.edit(command)
            case SelectSymbol():
                return await self._select(command.symbol)
            case SelectExpiry():
                engaged.look.step_expiry(command.step)
                return CommandResult(True, "")
            case Pause():
                return await answering_ladder.pause(engaged, command.source)
            case Resume():
                return await answering_ladder.resume(engaged, self._parts, command.source)
            case Kill():
                return await answering_ladder.kill(engaged, self._parts, command.source)
            case Flatten():
                return await answering_ladder.flatten(engaged, command)
            case Arm():
                return await answering_ladder.arm(engaged, self._parts, command)
            case Disarm():
                return await answering_ladder.disarm(engaged, command)
            case Reconcile():
                return CommandResult(*await engaged.oversight.settle())
            case Why():
                return await self._why(command)
            case ListOrders():
                now = self._parts.clock.now()
                rows = ledger_rows(engaged.desk.ledger, now, everything=command.which == "all")
                return CommandResult(True, f"{len(rows)} order(s)", rows)
            case ReadFlow():
                flow = engaged.flow.view(command.symbols)
                text = f"{len(flow.prints)} sweeps and blocks, {len(flow.contracts)} unusual contracts"
                return CommandResult(True, text, asdict(flow))
            case Status():
                return CommandResult(True, self._status_line(), self._status())
            case ReadBook():
                return book_answer(command.what, engaged.publisher)
            case Scan():
                return self._scan(command.limit)
            case StopEngine():
                self._stop(f"stop asked ({command.source})")
                working = len(engaged.desk.ledger.working)
                return CommandResult(True, f"stopping; {working} order(s) keep working at the broker")

    def _scan(self, limit: str) -> CommandResult:
        if not limit.isdecimal():
            return CommandResult(False, f"scan takes the number of rows wanted, 0 for all; got {limit!r}")
        document = scan_document(self._engaged.scanning, min(int(limit) or MOST, MOST), self._engaged.volatility.known)
        shown = len(document["rows"])
        return CommandResult(True, f"{shown} of {document['symbols']} symbols at {document['market_time']}", document)

    async def _select(self, symbol: str) -> CommandResult:
        symbol = symbol.strip().upper()
        if symbol not in self._parts.feed.board.stocks.numbers:
            return CommandResult(False, f"{symbol or 'nothing'} is not in the universe")
        self._engaged.look.select(symbol)
        await self._engaged.trader.ticks.learn(symbol)
        return CommandResult(True, f"chain of {symbol}")

    async def _why(self, command: Why) -> CommandResult:
        engaged, subject = self._engaged, command.subject
        # A proposal is named after its plan or order with one letter before; the screen shows the end of an order's id.
        names = {subject, subject[1:]} if subject[:1] in ("p", "e") else {subject}
        lines = [line for name in sorted(names) for line in engaged.trader.trail.lines(name)]
        for record in engaged.desk.ledger.records:
            intent = record.intent
            if names & {intent.intent_id, record.broker_id, intent.underlying, intent.intent_id[-4:]}:
                names |= {intent.intent_id, intent.plan_id} - {""}
                lines += engaged.trader.trail.lines(intent.plan_id)
                lines.append(f"order {record.describe()} {record.reason}".rstrip())
        rows = [row for name in sorted(names) for row in await self._parts.journal.why(name)]
        lines = list(dict.fromkeys([*lines, *trail_lines(rows)]))
        data: object = {"lines": lines, "events": trail_events(rows)} if command.full else lines
        if not lines:
            return CommandResult(False, f"nothing is recorded about {subject!r}", data if command.full else None)
        return CommandResult(True, "\n".join(lines), data)

    def _status_line(self) -> str:
        engaged, header = self._engaged, self._engaged.publisher.header
        nlv = "–" if header.nlv is None else f"{header.nlv:,.2f}"
        return (
            f"{header.mode} {header.source}/{header.broker} {header.account} NLV {nlv} ladder {header.ladder} "
            f"{self._ladder_words()}"
            f"feed {header.feed_state} broker {header.broker_state} {self._minute_words()}{self._coverage_words()}"
            f"{plan_words(header)}"
            f"positions {len(engaged.book.positions)} working {len(engaged.desk.ledger.working)} "
            f"proposals {len(engaged.proposals.waiting)}"
        )

    def _ladder_words(self) -> str:
        header = self._engaged.publisher.header
        words = [words for words in (header.ladder_proof, header.arming) if words]
        return f"({'; '.join(words)}) " if words else ""

    def _minute_words(self) -> str:
        header = self._engaged.publisher.header
        if not header.lost_minutes:
            return ""
        names = ", ".join(self._parts.feed.minutes.lost_symbols(LOST_NAMED)) or "every stock"
        return f"lost {header.lost_minutes} minutes, {header.lost_bars:,} bars of {names} "

    def _coverage_words(self) -> str:
        covered = self._engaged.scanning.covered()
        if covered.pct is None or covered.oldest_age_s is None:
            return ""
        return f"coverage {covered.pct:.2f} % of {covered.listed:,}, oldest {covered.oldest_age_s:.0f} s "

    def _status(self) -> dict[str, object]:
        engaged, header = self._engaged, self._engaged.publisher.header
        plain = {k: str(v) if type(v).__name__ == "Decimal" else v for k, v in asdict(header).items()}
        return {
            **plain,
            "coverage": engaged.scanning.covered().to_dict(),
            "lost_symbols": self._parts.feed.minutes.lost_symbols(LOST_LISTED),
            "positions": len(engaged.book.positions),
            "working_orders": len(engaged.desk.ledger.working),
            "unknown_orders": len(engaged.desk.ledger.unknown),
            "proposals": [p.proposal_id for p in engaged.proposals.waiting],
            "flatten_waiting": dict(engaged.oversight.flattener.waiting),
            "journal_depth": self._parts.journal.depth,
        }
