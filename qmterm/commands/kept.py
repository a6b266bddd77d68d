"""The journal that a command reads when no engine answers."""

from __future__ import annotations

from pathlib import Path

from qmterm.commands.places import load_settings, places
from qmterm.core.errors import EngineUnreachable
from qmterm.core.settings.engine import BrokerName


def journal_file(journal: Path | None, config: Path | None) -> Path:
    """The named file, else the configured one, else the broker's own; EngineUnreachable when there is none.

    Who has only simulated runs means the newest of them: each has a journal of its own. Never where orders are real.
    """
    if journal is not None:
        return journal
    settings, _ = load_settings(config)
    if settings.engine.journal:
        return Path(settings.engine.journal).expanduser()
    folders = places()
    kept = folders.journal(settings.engine.broker.value)
    if not kept.exists():
        simulated = sorted(folders.sim_runs.glob("*.sqlite"))  # their names are the times of their starts
        if simulated and settings.engine.broker in (BrokerName.SIM, BrokerName.PAPER):
            return simulated[-1]
        raise EngineUnreachable(f"no engine is running, and there is no journal at {kept}; name one with --journal")
    return kept
