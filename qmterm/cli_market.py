"""The command line's words for looking at the market: scan, chain, quote, news, flow, bars, and the store of history.

Each imports its own world when it runs, as everything of the command line does (cli.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from qmterm.core.errors import BadInput

history_app = typer.Typer(
    help="The store of daily bars: pull, look at, check, bring in files (docs/data.md).", no_args_is_help=True
)

ConfigOption = Annotated[Path | None, typer.Option("--config", help="configuration file instead of your own")]
JsonOption = Annotated[bool, typer.Option("--json", help="one JSON object on the last line of stdout")]

# the commands that look at the market read-only, at the real hosts or at a simulator
SourceOption = Annotated[str | None, typer.Option("--source", help="sim or polygon")]
SimOption = Annotated[str | None, typer.Option("--sim", help="address of a running simulator")]
SimTokenOption = Annotated[Path | None, typer.Option("--sim-token-file", help="file with that simulator's token")]
SimSymbolsOption = Annotated[int, typer.Option("--symbols", help="symbols of a simulated market of its own")]
SimStartOption = Annotated[
    str | None, typer.Option("--start", help="New York time it stands at; default: 2026-03-02T10:00, in the session")
]
SimSeedOption = Annotated[int, typer.Option("--seed", help="which simulated world")]


def scan(
    history: Annotated[
        Path | None,
        typer.Option(help="Parquet of daily bars (symbol, date, open, high, low, close, volume) instead of the market"),
    ] = None,
    as_of: Annotated[str | None, typer.Option(help="the file's last session to use, YYYY-MM-DD")] = None,
    limit: Annotated[int | None, typer.Option(help="rows to show, 1 or more; default: all")] = None,
    source: Annotated[str | None, typer.Option(help="sim or polygon, instead of the running engine")] = None,
    sim: Annotated[str | None, typer.Option("--sim", help="address of a running simulator")] = None,
    sim_token_file: Annotated[Path | None, typer.Option(help="file with that simulator's token")] = None,
    socket: Annotated[Path | None, typer.Option(help="socket of the engine to ask")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The ATR Matrix scanner: on the market now, or on a file of daily bars.

    The running engine is asked for its latest scan. Without one, or when
    --source, --sim or --config name a market, a scan of our own is made.
    """
    if limit is not None and limit < 1:
        raise BadInput(f"--limit {limit}: give the number of rows to show, 1 or more")
    if history is None:
        if as_of is not None:
            raise BadInput("--as-of goes with --history FILE: the market is scanned as it is now")
        from qmterm.commands.scan_live import LiveWish, run

        raise typer.Exit(run(LiveWish(config, source, sim, sim_token_file, socket), limit, as_json=as_json))
    if (source, sim, sim_token_file, socket) != (None,) * 4:
        raise BadInput("--history scans a file: leave --source, --sim, --sim-token-file and --socket away")
    from qmterm.commands.scan import from_command_line

    raise typer.Exit(from_command_line(history, as_of, limit, config, as_json=as_json))


def chain(
    symbol: Annotated[str, typer.Argument(help="a stock with listed options, e.g. AAPL")],
    expiry: Annotated[
        str | None, typer.Option(help="a date, 2026-04-17, or days to expiry: the listed expiry nearest to it")
    ] = None,
    strikes: Annotated[int | None, typer.Option(help="only so many strikes on each side of the price")] = None,
    source: SourceOption = None,
    sim: SimOption = None,
    sim_token_file: SimTokenOption = None,
    symbols: SimSymbolsOption = 500,
    start: SimStartOption = None,
    seed: SimSeedOption = 7,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """An option chain with our own volatilities and Greeks, the age of each quote and what speaks against it."""
    from qmterm.commands.chain import from_command_line

    wish = _market(config, source, sim, sim_token_file, symbols, start, seed)
    raise typer.Exit(from_command_line(symbol, expiry, strikes, wish, as_json=as_json))


def quote(
    names: Annotated[list[str], typer.Argument(help="stocks and option contracts: AAPL 'AAPL  260417C00230000'")],
    source: SourceOption = None,
    sim: SimOption = None,
    sim_token_file: SimTokenOption = None,
    symbols: SimSymbolsOption = 500,
    start: SimStartOption = None,
    seed: SimSeedOption = 7,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bid, ask and last of stocks and option contracts, each with its age and what speaks against it."""
    from qmterm.commands.quote import from_command_line

    wish = _market(config, source, sim, sim_token_file, symbols, start, seed)
    raise typer.Exit(from_command_line(names, wish, as_json=as_json))


def news(
    symbol: Annotated[str, typer.Argument(help="a stock, e.g. AAPL")],
    limit: Annotated[int, typer.Option(help="articles to show; the sentiment is made of all")] = 20,
    source: SourceOption = None,
    sim: SimOption = None,
    sim_token_file: SimTokenOption = None,
    symbols: SimSymbolsOption = 500,
    start: SimStartOption = None,
    seed: SimSeedOption = 7,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The articles of the last 72 hours about a stock, and the sentiment they make together."""
    from qmterm.commands.news import from_command_line

    wish = _market(config, source, sim, sim_token_file, symbols, start, seed)
    raise typer.Exit(from_command_line(symbol, limit, wish, as_json=as_json))


def flow(
    names: Annotated[
        list[str] | None, typer.Argument(help="stocks; without them: all that the running engine watches")
    ] = None,
    contracts: Annotated[int, typer.Option(help="over REST: how many of each stock's busiest contracts")] = 20,
    source: SourceOption = None,
    sim: SimOption = None,
    sim_token_file: SimTokenOption = None,
    symbols: SimSymbolsOption = 500,
    start: SimStartOption = None,
    seed: SimSeedOption = 7,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Unusual options activity: sweeps, blocks and contracts that trade far more than usual.

    From the running engine where it watches the stocks, else from the trades
    of their busiest contracts since the open; what was covered is said.
    """
    from qmterm.commands.flow import from_command_line

    wish = _market(config, source, sim, sim_token_file, symbols, start, seed)
    raise typer.Exit(from_command_line(names or [], contracts, wish, as_json=as_json))


def bars(
    symbol: Annotated[str, typer.Argument(help="a stock, e.g. AAPL")],
    day: Annotated[str | None, typer.Option(help="a session that is over, YYYY-MM-DD; default: the last one")] = None,
    source: SourceOption = None,
    sim: SimOption = None,
    sim_token_file: SimTokenOption = None,
    symbols: SimSymbolsOption = 500,
    start: SimStartOption = None,
    seed: SimSeedOption = 7,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a session's bars from its own trades (1, 5, 60 minutes, the day) and compare them with the vendor's.

    Exit code: 0 when all are equal, 1 otherwise.
    """
    from qmterm.commands.bars import from_command_line

    wish = _market(config, source, sim, sim_token_file, symbols, start, seed)
    raise typer.Exit(from_command_line(symbol, day, wish, as_json=as_json))


StoreOption = Annotated[Path | None, typer.Option("--store", help="folder of the store; default: your own")]


@history_app.command("pull")
def history_pull(
    sessions: Annotated[int | None, typer.Option(help="the latest N sessions; default: what the scanner uses")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="all sessions from this date, YYYY-MM-DD")] = None,
    to: Annotated[str | None, typer.Option(help="up to this date; default: the last completed session")] = None,
    store: StoreOption = None,
    sim: SimOption = None,
    sim_token_file: SimTokenOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch the sessions that are missing, one call each, newest first; stop and go on at any time.

    Exit code: 0, or 1 when a session could not be had.
    """
    from qmterm.commands.history import pull

    raise typer.Exit(pull(sessions, from_, to, store, sim, sim_token_file, config, as_json=as_json))


@history_app.command("status")
def history_status(
    sessions: Annotated[int | None, typer.Option(help="sessions wanted; default: what the scanner uses")] = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What the store holds and lacks, its size, and how long a pull takes at the plan's rate."""
    from qmterm.commands.history import status

    raise typer.Exit(status(sessions, store, config, as_json=as_json))


@history_app.command("verify")
def history_verify(
    symbols: Annotated[list[str] | None, typer.Argument(help="only these; default: all")] = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find gaps, repeats, impossible bars, unexplained jumps and torn files; each with what to do.

    Exit code: 0 when nothing was found, 1 otherwise.
    """
    from qmterm.commands.history import verify

    raise typer.Exit(verify(symbols or [], store, config, as_json=as_json))


@history_app.command("import")
def history_import(
    file: Annotated[Path, typer.Argument(help="Parquet or CSV in the layout of docs/data.md")],
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring daily bars, minute bars or option quotes of a file into the store; what it holds already stays."""
    from qmterm.commands.history import import_

    raise typer.Exit(import_(file, store, config, as_json=as_json))


def _market(
    config: Path | None,
    source: str | None,
    sim: str | None,
    sim_token_file: Path | None,
    symbols: int,
    start: str | None,
    seed: int,
) -> Any:
    """Which market a read-only command looks at (commands/market_session.py)."""
    from qmterm.commands.market_session import LOOK_START, MarketWish
    from qmterm.commands.simulator import SimWish

    own = SimWish(world_seed=seed, symbols=symbols, start=start or LOOK_START)
    return MarketWish(config, source, sim, sim_token_file, own)
