"""The journal that a command reads when no engine answers."""

from __future__ import annotations

from pathlib import Path

from qmterm.commands.places import load_settings, places
from qmterm.core.errors import EngineUnreachable


def journal_file(journal: Path | None, config: Path | None) -> Path:
    """The named file, else the configured one, else the broker's own; EngineUnreachable when there is none."""
    if journal is not None:
        return journal
    settings, _ = load_settings(config)
    if settings.engine.journal:
        return Path(settings.engine.journal).expanduser()
    kept = places().journal(settings.engine.broker.value)
    if not kept.exists():
        raise EngineUnreachable(f"no engine is running, and there is no journal at {kept}; name one with --journal")
    return kept
