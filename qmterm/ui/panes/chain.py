"""Pane 2: one expiry of an option chain, calls and puts mirrored around the strike, centred on the spot."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qmterm.core.settings.screen import AgeSteps, ScreenSettings
from qmterm.engine.view import ChainRow, ChainView, OptionCell, Snapshot
from qmterm.ui.formats import age, count, dropped_zero, expiry, fixed, money, percent, plain, strike
from qmterm.ui.grid import Grid
from qmterm.ui.palette import BOLD, DIM, Line, Palette, Span, age_marks, aged, fit, spread
from qmterm.ui.pane import Frame
from qmterm.ui.panes.scan import direction
from qmterm.ui.table import Cell, Column

NO_CELL = Cell("", "dim")
Side = Callable[[ChainRow], OptionCell | None]


def _of_side(side: Side, draw: Callable[[OptionCell], Cell]) -> Callable[[ChainRow], Cell]:
    def cell(row: ChainRow) -> Cell:
        option = side(row)
        return NO_CELL if option is None else draw(option)

    return cell


def side_columns(group: str, side: Side, steps: AgeSteps, extra_s: Callable[[], float]) -> tuple[Column[ChainRow], ...]:
    """The columns of one side, from the outside in (the put side is turned around)."""

    def seconds(option: OptionCell) -> float | None:
        return None if option.age_s is None else option.age_s + extra_s()

    def price(value: float | None, option: OptionCell) -> Cell:
        marks = age_marks(seconds(option), steps) or (DIM if option.code else 0)
        return Cell(aged(fixed(value), seconds(option), steps), "text", marks)

    def held(option: OptionCell) -> Cell:
        return Cell(f"{option.held:+d}" if option.held else "", "gain" if option.held > 0 else "loss", BOLD)

    def column(
        id: str, title: str, width: int, keep: int, draw: Callable[[OptionCell], Cell], right: bool = True
    ) -> Column[ChainRow]:
        return Column(f"{group}.{id}", title, width, _of_side(side, draw), None, right, keep, group)

    def implied(option: OptionCell) -> Cell:
        if option.iv is None:
            return Cell("–", "dim")
        return Cell(fixed(option.iv * 100, 1))

    return (
        column("held", "pos", 3, 7, held),
        column("oi", "oi", 5, 4, lambda o: Cell(count(o.open_interest), "dim")),
        column("volume", "vol", 5, 3, lambda o: Cell(count(o.volume), "dim")),
        column("age", "age", 3, 2, lambda o: Cell(age(seconds(o)), "dim")),
        column("iv", "IV", 5, 6, implied),
        column("vega", "V", 4, 1, lambda o: Cell(dropped_zero(o.vega))),
        column("gamma", "Γ", 5, 0, lambda o: Cell(dropped_zero(o.gamma, 3))),
        column("theta", "θ", 5, 5, lambda o: Cell(dropped_zero(o.theta))),
        column("delta", "Δ", 4, 8, lambda o: Cell(fixed(None if o.delta is None else o.delta * 100, 0))),
        column("bid", "bid", 7, 9, lambda o: price(o.bid, o)),
        column("ask", "ask", 7, 9, lambda o: price(o.ask, o)),
    )


class ChainPane(Grid[ChainRow]):
    name_ = "chain"

    def __init__(self, palette: Palette, settings: ScreenSettings) -> None:
        self._shown: tuple[str, int, int] | None = None
        self._money = float("nan")
        super().__init__(palette, settings)
        self.side = "call"

    def columns(self) -> Sequence[Column[ChainRow]]:
        steps = self.settings.quote_age_s
        calls = side_columns("call", lambda row: row.call, steps, self.extra_s)
        puts = side_columns("put", lambda row: row.put, steps, self.extra_s)
        strikes: Column[ChainRow] = Column("strike", "strike ", 10, self._strike, None, keep=10)
        outside, quotes = puts[:-2], puts[-2:]
        return (*calls, strikes, *quotes, *reversed(outside))

    def _strike(self, row: ChainRow) -> Cell:
        at_the_money = row.strike == self._money
        text = f"│{'▶' if at_the_money else ' '}{strike(row.strike):>6} │"
        return Cell(text, "money" if at_the_money else "strike", BOLD if at_the_money else 0)

    def row_key(self, row: ChainRow) -> str:
        return f"{row.strike}"

    def row_search(self, row: ChainRow) -> str:
        return strike(row.strike)

    def rows_of(self, snapshot: Snapshot) -> Sequence[ChainRow]:
        return () if snapshot.chain is None else snapshot.chain.rows

    def empty(self, snapshot: Snapshot) -> str:
        if snapshot.chain is None:
            return "no symbol chosen: enter on a row of the scanner, or :SYMBOL chain"
        return plain(snapshot.chain.message) or "no contracts in this expiry"

    def info(self) -> str:
        chain = self._chain()
        if chain is None:
            return ""
        parts = [chain.symbol, f"{'CALLS' if self.side == 'call' else 'PUTS'} chosen (←→)"]
        if chain.iv_rank:
            parts.insert(1, f"IVr {chain.iv_rank}")
        leg = self.leg()
        if leg is not None and (leg.code or leg.iv is None):
            parts.append(leg.code or leg.iv_status)
        elif chain.codes:
            parts.append(f"refused: {sum(chain.codes.values())}")
        return " · ".join(parts)

    def _chain(self) -> ChainView | None:
        return None if self.frame_ is None else self.frame_.snapshot.chain

    def banner(self, frame: Frame) -> list[Line]:
        chain = frame.snapshot.chain
        if chain is None:
            return []
        width = self.inner_width
        change = direction(chain.change_pct, percent(abs(chain.change_pct or 0), 2))
        name: Line = (
            Span(f" {chain.symbol} ", "symbol", BOLD),
            Span(f"{fixed(chain.spot)} "),
            Span(change.text if chain.change_pct is not None else "", change.tone),
        )
        numbers: Line = (
            Span(" ATM IV ", "label"),
            Span(percent(None if chain.atm_iv is None else chain.atm_iv * 100)),
            Span("  HV ", "label"),
            Span(percent(None if chain.hv20 is None else chain.hv20 * 100)),
            Span("  1σ ±", "label"),
            Span(f"{money(chain.expected_move, cents=True)} "),
        )
        lines = [spread((*name, *self._expiry(chain)), numbers, width)]
        if chain.message and chain.rows:
            lines.append(fit((Span(f" {plain(chain.message)}", "warn"),), width))
        return lines

    def _expiry(self, chain: ChainView) -> Line:
        if not 0 <= chain.selected < len(chain.expiries):
            return ()
        day = expiry(chain.expiries[chain.selected])
        days = "" if chain.dte is None else f" {chain.dte}d"
        place = f"{chain.selected + 1}/{len(chain.expiries)}"
        return (Span("   h◀ ", "dim"), Span(f"{day}{days}", "accent", BOLD), Span(f" ▶l {place}", "dim"))

    def body(self, frame: Frame) -> list[Line]:
        chain = frame.snapshot.chain
        if chain is not None and chain.rows:
            self._money = chain.rows[min(max(chain.at_the_money, 0), len(chain.rows) - 1)].strike
            shown = (chain.symbol, chain.selected, self.size.height)
            if shown != self._shown:
                new_chain = self._shown is None or self._shown[:2] != shown[:2]
                self._shown = shown
                self.table.load(chain.rows, frame.now)
                self.table.reorder(frame.now)
                if new_chain:
                    self.table.go_to_key(f"{self._money}")
                self.centre()
        return super().body(frame)

    # --- keys ---

    def indent(self, spare: int) -> int:
        """A chain stands in the middle of a wide pane."""
        return spare // 2

    def choose_side(self, side: str) -> None:
        self.side = side

    def leg(self) -> OptionCell | None:
        """The contract under the cursor, on the chosen side."""
        row = self.table.current
        if row is None:
            return None
        return row.call if self.side == "call" else row.put

    def subject(self) -> str:
        """The contract where we hold it, else the symbol: about others nothing was decided."""
        leg, chain = self.leg(), self._chain()
        if leg is not None and leg.held:
            return leg.occ
        return chain.symbol if chain is not None else ""
