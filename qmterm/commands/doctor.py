"""`qmterm doctor`: everything that can keep a run from working, what was seen, and what to do about each.

Never imports the screen, never sends an order, never waits without a deadline.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from qmterm.commands import doctor_machine as machine
from qmterm.commands.configure import changed_keys, needed_secrets
from qmterm.commands.doctor_report import Check, State, document, fail, ok, printer, warn
from qmterm.commands.places import SECRET_NAMES, load_settings, places, secret
from qmterm.commands.secret_store import Origin, origin
from qmterm.core.errors import ConfigError
from qmterm.core.settings.engine import BrokerName, Source
from qmterm.core.settings.model import Settings

NO_KEY = """
Without keys everything but live prices works already:
  qmterm demo                                    the whole workstation on a simulated market

For paper trading on live prices:
{init}  qmterm config secret set QMTERM_POLYGON_KEY    or: export QMTERM_POLYGON_KEY=…
  qmterm doctor                                  then looks at the plan, too"""


def run(config: Path | None, as_json: bool) -> int:
    """0 when nothing FAILs, else 1."""
    show = printer(as_json)
    folders = places()
    groups: list[tuple[str, Sequence[Check]]] = []

    def add(name: str, checks: Sequence[Check]) -> None:
        groups.append((name, checks))
        show(name, checks)

    engine, engine_runs = machine.engine_check(folders)
    configuration, settings, path = _configuration(config)
    add("configuration", [*configuration, *_secrets(settings)])
    add("this machine", [machine.python_check(), machine.packages_check(), machine.terminal_check()])
    add("folders", [*machine.folder_checks(folders), machine.journal_check(machine.journal_path(settings, folders))])
    _progress("loading the compiled maths (the first time on a machine it is built, a minute or two)")
    add("engine", [machine.kernels_check(), engine])
    if not any(check.state is State.FAIL for check in configuration):
        with _told_once():
            add("market data", _data(settings, engine_runs))
            add("broker", _broker(settings))
    report = document(groups)
    if as_json:
        print(json.dumps(report))
    else:
        counts = report["counts"]
        print(f"{counts['OK']} OK, {counts['WARN']} WARN, {counts['FAIL']} FAIL")
        if settings.engine.source is Source.POLYGON and secret("polygon") is None:
            print(NO_KEY.format(init="" if path else "  qmterm config init\n"))
    return 0 if report["ok"] else 1


def _configuration(config: Path | None) -> tuple[list[Check], Settings, Path | None]:
    """The configuration, or the defaults and the sentence that says why it cannot be used."""
    from qmterm.engine.wiring import check_sense

    name, edit = "config file", "edit that line; `qmterm config check` looks again"
    try:
        settings, path = load_settings(config)
    except ConfigError as error:
        return [fail(name, str(error), edit)], Settings(), config
    engine = settings.engine
    saw = f"prices from {engine.source.value}, orders to {engine.broker.value}, mode {engine.mode.value}"
    try:
        check_sense(settings)
    except ConfigError as error:
        return [fail(name, f"{path}: {error}", edit)], settings, path
    if path is None:
        file = places().config_file
        return (
            [ok(name, f"none at {file}: the defaults apply ({saw}); `qmterm config init` writes one")],
            settings,
            None,
        )
    return [ok(name, f"{path}: {saw}; {len(changed_keys(settings))} values of your own")], settings, path


def _secrets(settings: Settings) -> list[Check]:
    """Which secrets there are; never what they are."""
    needed = needed_secrets(settings)
    checks = []
    for variable in SECRET_NAMES.values():
        found = origin(variable)
        if found is not Origin.NOWHERE:
            checks.append(ok(variable, found.value))
        elif variable in needed:
            todo = f"qmterm config secret set {variable}, or export {variable}=…"
            checks.append(fail(variable, "not set, and these settings need it", todo))
        else:
            checks.append(ok(variable, "not set, not needed by these settings"))
    return checks


def _data(settings: Settings, engine_runs: bool) -> list[Check]:
    key = secret("polygon")
    if key is None:
        if settings.engine.source is Source.SIM:
            return [ok("market data", "simulated: each run starts a simulator of its own")]
        return [warn("market data", "not tried without a key", "set QMTERM_POLYGON_KEY first")]
    from qmterm.commands.doctor_data import data_checks

    _progress("asking the data server")
    return asyncio.run(data_checks(settings, key, engine_runs, places().history / "polygon"))


def _broker(settings: Settings) -> list[Check]:
    """tastytrade, when these settings trade there; otherwise what takes the orders instead."""
    broker = settings.engine.broker
    if broker is BrokerName.PAPER:
        return [ok("paper", "orders fill inside the program against live quotes; nothing leaves this machine")]
    if broker is BrokerName.SIM:
        return [ok("simulator", "orders go to the simulator; no account, no money")]
    tt_secret, refresh = secret("tt_secret"), secret("tt_refresh")
    if tt_secret is None or refresh is None:
        return [warn("tastytrade", "not tried without its secrets", "set QMTERM_TT_SECRET and QMTERM_TT_REFRESH first")]
    from qmterm.commands.doctor_broker import broker_checks

    _progress("asking tastytrade")
    return asyncio.run(broker_checks(settings, tt_secret, refresh, secret("tt_account")))


@contextmanager
def _told_once() -> Iterator[None]:
    """A failure is told once, as a check, and not by a client's log as well."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _progress(text: str) -> None:
    """A line on stderr, only when a person is watching it."""
    if sys.stderr.isatty():
        print(f"{text} …", file=sys.stderr)
