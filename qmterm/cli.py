"""The command line. Each command imports its own world when it runs: `qmterm --help` loads none of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from qmterm import cli_market
from qmterm.cli_market import ConfigOption, JsonOption
from qmterm.core.errors import ConfigError, QmtermError

app = typer.Typer(
    name="qmterm",
    help="A terminal trading workstation for US stock options. Without a command: the screen.",
    no_args_is_help=False,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
sim_app = typer.Typer(help="The simulator: a pretend exchange and broker on this machine.", no_args_is_help=True)
config_app = typer.Typer(help="Write, check and show the configuration; keep secrets.", no_args_is_help=True)
secret_app = typer.Typer(help="Secrets in the OS keyring.", no_args_is_help=True)
orders_app = typer.Typer(help="Orders: list and cancel.", no_args_is_help=True)
app.add_typer(orders_app, name="orders")
app.add_typer(sim_app, name="sim")
app.add_typer(config_app, name="config")
app.add_typer(cli_market.history_app, name="history")
config_app.add_typer(secret_app, name="secret")
JournalOption = Annotated[Path | None, typer.Option("--journal", help="read this journal file")]
SocketOption = Annotated[Path | None, typer.Option("--socket", help="another engine's socket")]


@app.callback(invoke_without_command=True)
def run_engine(
    context: typer.Context,
    auto: Annotated[bool, typer.Option("--auto", help="trade alone, without a screen")] = False,
    source: Annotated[str | None, typer.Option(help="sim or polygon")] = None,
    broker: Annotated[str | None, typer.Option(help="sim, paper, tastytrade-cert or tastytrade")] = None,
    seed: Annotated[int | None, typer.Option(help="simulator in lockstep: one seed, the same decisions")] = None,
    symbols: Annotated[int, typer.Option(help="symbols of the simulated market, 50 to 32345")] = 500,
    start: Annotated[
        str | None, typer.Option(help="New York time the simulated market starts, 2026-03-02T09:25")
    ] = None,
    speed: Annotated[str, typer.Option(help="market seconds per second, or max (needs --seed)")] = "1",
    until: Annotated[str | None, typer.Option(help="stop at this New York time, HH:MM")] = None,
    for_: Annotated[str | None, typer.Option("--for", help="stop after this real time, e.g. 90s, 5m")] = None,
    journal: Annotated[Path | None, typer.Option(help="journal file")] = None,
    replay: Annotated[
        Path | None, typer.Option(help="with --source sim: play these files (docs/replay.md), not a made-up market")
    ] = None,
    sim: Annotated[str | None, typer.Option("--sim", help="address of a running simulator")] = None,
    sim_token_file: Annotated[Path | None, typer.Option(help="file with that simulator's token")] = None,
    market_clock: Annotated[str | None, typer.Option(help="system or server")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    if version:
        from qmterm import __version__

        print(__version__)
        raise typer.Exit
    if context.invoked_subcommand is not None:
        return
    from qmterm.commands.engine import from_command_line

    given = {"source": source, "broker": broker, "market_clock": market_clock}
    raise typer.Exit(
        from_command_line(
            auto=auto,
            given={key: value for key, value in given.items() if value is not None},
            config=config,
            seed=seed,
            symbols=symbols,
            start=start,
            replay=replay,
            speed=speed,
            until=until,
            for_=for_,
            journal=journal,
            sim_url=sim,
            sim_token_file=sim_token_file,
            as_json=as_json,
        )
    )


@app.command()
def demo(
    speed: Annotated[float, typer.Option(help="market seconds per real second")] = 8.0,
    symbols: Annotated[int, typer.Option(help="symbols of the simulated market")] = 500,
    seed: Annotated[int, typer.Option(help="which simulated world")] = 7,
    auto: Annotated[bool, typer.Option("--auto", help="let it trade alone while you watch")] = False,
    replay: Annotated[Path | None, typer.Option(help="play these files (docs/replay.md), not a made-up market")] = None,
    start: Annotated[str | None, typer.Option(help="New York time to begin at, 2026-03-02T09:29")] = None,
    config: ConfigOption = None,
) -> None:
    """The whole workstation on a simulated market: no keys, no account, no money."""
    from qmterm.commands.engine import demo as run_demo

    raise typer.Exit(
        run_demo(speed=speed, symbols=symbols, seed=seed, auto=auto, config=config, replay=replay, start=start)
    )


@app.command(context_settings={"ignore_unknown_options": True})  # ctl approve ID -4.15
def ctl(
    words: Annotated[
        list[str],
        typer.Argument(
            help="status, scan N, flow SYMBOL …, positions, portfolio, expiry, orders (or orders all), why ID, "
            "trail ID; pause, resume, kill, flatten, arm, disarm, reconcile, stop; order TEXT, roll TEXT, close NAME, "
            "edit ID PRICE, cancel ID|all, approve ID LIMIT, reject ID (docs/headless.md)"
        ),
    ],
    send: Annotated[bool, typer.Option("--send", help="order, roll: send at once in auto mode")] = False,
    dearer: Annotated[bool, typer.Option("--dearer", help="edit: yes, at a price that can lose more")] = False,
    until: Annotated[str | None, typer.Option(help="arm: New York time it ends, HH:MM")] = None,
    max_loss: Annotated[str | None, typer.Option(help="arm: dollars lost since then at which it ends")] = None,
    socket: Annotated[Path | None, typer.Option(help="another engine's socket")] = None,
    as_json: JsonOption = False,
) -> None:
    """Speak to the running engine: status, pause, resume, kill, flatten, stop, …

    For unattended real money: ctl arm --until 16:00 --max-loss 500.

    Orders in words (docs/orders.md): ctl order "buy 2 NVDA 17APR26 175C @ 4.15" [--send], ctl roll "NVDA 15MAY26 180C".

    Exit code: 0 done, 1 failed, 2 wrong use, 3 refused by risk.
    """
    from qmterm.commands.ctl import run

    raise typer.Exit(
        run(words, as_json=as_json, socket=socket, until=until, max_loss=max_loss, send=send, dearer=dearer)
    )


@app.command()
def why(
    subject: Annotated[str, typer.Argument(metavar="ID", help="an order, plan, position or symbol")],
    journal: JournalOption = None,
    socket: SocketOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Why something was traded, or was not: signal, filters, sizing, gate, sends, fills with their numbers.

    Asks the running engine, else reads the journal of the last run.
    """
    from qmterm.commands.why import run

    raise typer.Exit(run(subject, as_json=as_json, journal=journal, config=config, socket=socket))


@orders_app.command("list")
def orders_list(
    everything: Annotated[bool, typer.Option("--all", help="ended ones of the last days too")] = False,
    journal: JournalOption = None,
    socket: SocketOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Working orders, of the running engine or as the journal knows them."""
    from qmterm.commands.orders import show

    raise typer.Exit(show(everything=everything, as_json=as_json, journal=journal, config=config, socket=socket))


@orders_app.command("cancel")
def orders_cancel(
    order_id: Annotated[str, typer.Argument(metavar="ID", help="an order's id, or all")],
    socket: SocketOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel one order, or all, through the running engine."""
    from qmterm.commands.orders import cancel

    raise typer.Exit(cancel(order_id, as_json=as_json, socket=socket))


for look in (cli_market.scan, cli_market.chain, cli_market.quote, cli_market.news, cli_market.flow, cli_market.bars):
    app.command()(look)


@app.command()
def greeks(
    file: Annotated[
        str, typer.Argument(help="a CSV file whose first line names its columns; - reads standard input")
    ] = "-",
    as_of: Annotated[
        str | None, typer.Option(help="when the prices were seen, New York time: 2026-03-02T15:30; default: now")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="add what was used for each row and where it came from")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Implied volatility, price and Greeks for a CSV of options: the same rows.

    Needed columns: spot, strike, right (C or P), expiry (a date) or years or
    days, and price, or bid and ask, or vol. OCC symbols in a column symbol
    say strike, right and expiry; SPX and its like are European by symbol.

    Optional: rate and dividend_yield (0.04 or 4%; without them 4 % and 0),
    style (american, european; without it american), as_of (a row's own time),
    dividends (2026-12-15:0.80;2027-03-15:0.80, or 20d:0.80).

    Comes back behind them: iv, status, price, delta, gamma, theta, vega, rho,
    reason. Per share; theta for a calendar day, vega for a volatility point,
    rho for 1 % of rate. docs/numbers.md says what each status means.

    Brokers' and spreadsheets' ways are understood: Strike Price, Exp Date,
    Call/Put, Impl Vol, 17 APR 26, $, %, semicolons, decimal commas. What was
    assumed and which rows are bad is said on stderr.

    Exit code: 0, or 1 when a row could not be read (the others are answered),
    or 2 when the table could not.
    """
    from qmterm.commands.greeks import from_command_line

    raise typer.Exit(from_command_line(file, as_of, as_json=as_json, explain=explain))


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="greeks, american, scan, stream, history, chain, orders, …")],
    size: Annotated[
        int | None, typer.Option(help="options, or symbols for scan and stream; default: the size the limits are for")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="one turn on a small size: a rough look in seconds")] = False,
    peer_python: Annotated[
        str | None, typer.Option(help="for greeks: the Python of an environment with py_vollib_vectorized")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure qmterm beside py_vollib, QuantLib, TA-Lib, pandas and the Polygon client.

    greeks: volatility and Greeks of 1.5 million European options (seconds)

    american: volatility, Greeks, dividends, a chain, stress (half a minute)

    scan: indicators of 32,345 symbols, the running day (half a minute, 1 GB)

    chain: 10,000 contracts over 40 pages, beyond the wire (seconds)

    stream: frames to the board, over a socket, the snapshot (a minute)
    history: 300 sessions of 32,345 symbols from Parquet (half a minute, 1 GB)

    orders: from a signal to the bytes on the wire (a minute)

    kill: 50 cancels while 20,000 quotes a second come in (a minute)

    restart: a killed engine with 200 orders is ready again (a minute)

    journal: durable rows, SIGKILLs, the size of a day (half a minute)

    Speeds and errors are of one run; each row says what it must reach and
    whether it does. A busy machine shows too little. A peer that is not there
    leaves its row open; pip install QuantLib TA-Lib brings two of them.

    py_vollib_vectorized needs old companions, so an environment of its own:

    python3 -m venv pvv

    pvv/bin/pip install py_vollib==1.0.1 py_lets_be_rational==1.0.1 \\
    py_vollib_vectorized==0.1.1 setuptools

    qmterm bench greeks --peer-python pvv/bin/python

    Exit code: 0 whether limits are met or not (in --json: met), 2 for wrong
    use.
    """
    from qmterm.commands.bench import from_command_line

    raise typer.Exit(from_command_line(name, size=size, quick=quick, peer_python=peer_python, as_json=as_json))


@app.command()
def drill(
    name: Annotated[
        str, typer.Argument(help="all, crash, or one fault: ack-lost-after, lost-frame, broker-down, …")
    ] = "all",
    seeds: Annotated[int, typer.Option(help="how many seeds")] = 200,
    first_seed: Annotated[int, typer.Option(help="the first one; a failed seed alone: --first-seed N --seeds 1")] = 0,
    sockets: Annotated[
        bool, typer.Option("--sockets", help="real processes, real sockets, real SIGKILLs (10 kills: half a minute)")
    ] = False,
    kills: Annotated[int | None, typer.Option(help="with --sockets: how many, ten to a seed")] = None,
    as_json: JsonOption = False,
) -> None:
    """Drill the order desk against a broker that misbehaves, and count what went wrong.

    Each seed is a small day in one process on a virtual clock: the real order
    desk, journal, risk gate and tastytrade client, a simulated broker with
    seeded faults, and an engine that dies at swept points and starts again.
    The judge reads the broker's ledger, not ours. docs/drills.md lists the
    faults and the figures.

    With one seed its story is printed. Exit code: 0, or 1 when anything that
    must be zero is not.
    """
    from qmterm.commands.drill import from_command_line

    raise typer.Exit(
        from_command_line(name, seeds=seeds, first_seed=first_seed, as_json=as_json, sockets=sockets, kills=kills)
    )


@app.command()
def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check keys, plan, account, clock, terminal and folders, and say what to do about each."""
    from qmterm.commands.doctor import run

    raise typer.Exit(run(config, as_json=as_json))


@sim_app.command("serve", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def sim_serve(context: typer.Context) -> None:
    """Run a simulator alone; join it with `qmterm --source sim --broker sim --sim URL --sim-token-file FILE`.

    Options: --seed N --symbols N --start T --speed X --lockstep --until HH:MM --port P --token-file FILE
    --plan basic|starter|developer|advanced --starting-cash X. --replay PATH plays a recording, or a folder
    of Parquet files, instead of a made-up market (docs/replay.md).
    """
    from qmterm.sim.serve import main as serve

    raise typer.Exit(serve(context.args))


@config_app.command("init")
def config_init(
    force: Annotated[bool, typer.Option("--force", help="replace an existing file (a copy is kept)")] = False,
) -> None:
    """Write a commented config.toml into your configuration folder."""
    from qmterm.commands.configure import init

    raise typer.Exit(init(force=force))


@config_app.command("check")
def config_check(config: ConfigOption = None) -> None:
    """Read the configuration and say what is wrong with it, by file, line and key."""
    from qmterm.commands.configure import check

    raise typer.Exit(check(config))


@config_app.command("show")
def config_show(config: ConfigOption = None) -> None:
    """The configuration in force, defaults included; secrets are only named as set or not set."""
    from qmterm.commands.configure import show

    raise typer.Exit(show(config))


@secret_app.command("set")
def config_secret_set(name: Annotated[str, typer.Argument(help="e.g. QMTERM_POLYGON_KEY")]) -> None:
    """Ask for a secret without showing it and keep it in the OS keyring."""
    from qmterm.commands.configure import set_secret

    raise typer.Exit(set_secret(name))


def main(arguments: list[str] | None = None) -> Any:
    """Entry point: every expected failure is one sentence on stderr and the exit code of DESIGN.md 10."""
    try:
        return app(args=arguments, standalone_mode=True)
    except QmtermError as error:
        print(f"qmterm: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except ConfigError as error:
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
