"""`qmterm config init|check|show` and `config secret set`: the user's configuration file and secrets.

The trap: a file that somebody wrote by hand is never lost. Only --force replaces it, and then a dated copy stays.
"""

from __future__ import annotations

import getpass
import os
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from qmterm.commands import secret_store
from qmterm.commands.places import SECRET_NAMES, load_settings, places
from qmterm.core.errors import BadInput, ConfigError, QmtermError
from qmterm.core.settings.engine import BrokerName, Source
from qmterm.core.settings.model import Settings, render_config, render_values

NEXT_STEPS = """\
Next:
  qmterm config secret set QMTERM_POLYGON_KEY    (or: export QMTERM_POLYGON_KEY=…)
  qmterm doctor                                  checks key, plan, clock, terminal and folders
  qmterm                                         paper trading on live prices; every order asks first"""


def init(force: bool) -> int:
    """Write the commented defaults into the user's folder."""
    file = places().config_file
    copy: Path | None = None
    try:
        if file.exists() or file.is_symlink():
            if not force:
                raise ConfigError(f"{file} exists already; edit it, or use --force to replace it (a copy is kept)")
            file = file.resolve()  # a link into somebody's dotfiles stays a link
            copy = _copy_of(file)
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(file, render_config())
    except OSError as error:
        raise QmtermError(
            f"{file} cannot be written ({error.strerror or error}); give yourself write permission there, "
            "or set QMTERM_HOME to a folder of your own"
        ) from error
    print(f"wrote {file}" + (f"; the old file is {copy}" if copy else ""))
    print(NEXT_STEPS)
    return 0


def check(config: Path | None) -> int:
    """0 when the configuration can run; ConfigError names file, line and key otherwise."""
    settings, path = load_settings(config)
    from qmterm.engine.wiring import check_sense

    try:
        check_sense(settings)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    engine = settings.engine
    if path is None:
        print(f"no configuration at {places().config_file}: the defaults apply (`qmterm config init` writes one)")
    else:
        print(f"{path}: valid, {len(changed_keys(settings))} value(s) differ from the defaults")
    print(f"prices from {engine.source.value}, orders to {engine.broker.value}, mode {engine.mode.value}")
    missing = [name for name in needed_secrets(settings) if secret_store.origin(name) is secret_store.Origin.NOWHERE]
    if missing:
        print(f"not set yet: {', '.join(missing)} (`qmterm config secret set NAME`)")
    return 0


def show(config: Path | None) -> int:
    """The settings in force as TOML; secrets only as set or not set."""
    settings, path = load_settings(config)
    print(f"# settings in force, from {path or 'the defaults (no configuration file)'}")
    print(render_values(settings))
    needed = needed_secrets(settings)
    for variable in SECRET_NAMES.values():
        use = "" if variable in needed else ", not needed by these settings"
        print(f"# {variable}: {secret_store.origin(variable)}{use}")
    return 0


def set_secret(name: str) -> int:
    """Ask without echo, or read one line of standard input when it is not a terminal."""
    variable = secret_store.variable_named(name)
    value = (getpass.getpass(f"{variable} (not shown): ") if sys.stdin.isatty() else sys.stdin.readline()).strip()
    if not value:
        raise BadInput(f"no value was given for {variable}; nothing was changed")
    if not value.isprintable() or " " in value:
        raise BadInput(f"the value given for {variable} has a space or a control character in it; nothing was changed")
    secret_store.keep(variable, value)
    print(f"{variable} is in the keyring")
    if secret_store.origin(variable) is secret_store.Origin.ENVIRONMENT:
        print(f"{variable} is also set in the environment, which goes first", file=sys.stderr)
    return 0


def needed_secrets(settings: Settings) -> tuple[str, ...]:
    """The secrets without which these settings cannot run."""
    needed: list[str] = []
    if settings.engine.source is Source.POLYGON:
        needed.append(SECRET_NAMES["polygon"])
    if settings.engine.broker in (BrokerName.CERT, BrokerName.LIVE):
        needed += [SECRET_NAMES["tt_secret"], SECRET_NAMES["tt_refresh"]]
    return tuple(needed)


def changed_keys(settings: Settings) -> list[str]:
    """`section.key` of every value that is not its default."""
    mine, fresh = settings.model_dump(), Settings().model_dump()
    return [
        f"{section}.{key}"
        for section, values in mine.items()
        for key, value in values.items()
        if value != fresh[section][key]
    ]


def _copy_of(file: Path) -> Path | None:
    """A dated copy beside the file, under a name that is still free; None when there is nothing behind a link."""
    if not file.exists():
        return None
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    copy = file.with_name(f"{file.name}.{stamp}")
    number = 1
    while copy.exists():
        number += 1
        copy = file.with_name(f"{file.name}.{stamp}-{number}")
    shutil.copy2(file, copy)
    return copy


def _write(file: Path, text: str) -> None:
    """All of it or nothing: a full disk leaves the old file as it was."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=file.name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(name, file)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
