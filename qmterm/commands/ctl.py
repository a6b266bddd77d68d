"""`qmterm ctl …`: the engine's commands from a shell, over its Unix socket."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from qmterm.commands.places import places
from qmterm.core.errors import ConfigError
from qmterm.engine.control import SEND, ask, parse_verb


def run(
    words: list[str],
    *,
    as_json: bool,
    socket: Path | None = None,
    until: str | None = None,
    max_loss: str | None = None,
    send: bool = False,
) -> int:
    """0 when the engine did it, 1 when it said no, 2 for words it cannot read, 3 when risk refuses."""
    if words[:1] == ["arm"]:
        words = [*words, *(given for given in (until, max_loss) if given is not None)]
    elif until is not None or max_loss is not None:
        raise ConfigError("--until and --max-loss belong to ctl arm")
    if send and words[:1] not in (["order"], ["roll"]):
        raise ConfigError("--send belongs to ctl order and ctl roll")
    words = [*words, SEND] if send else words
    parse_verb(words)  # wrong use is said before the engine is asked
    reply = ask(socket or places().socket, words)
    if as_json:
        print(json.dumps(reply))
    elif words[0] == "flow" and reply["ok"] and isinstance(reply["data"], dict):
        from qmterm.commands.flow import print_flow  # not for the others: a kill must not wait for its imports

        print_flow({"from": "engine", **reply["data"]}, sys.stdout)
    else:
        print(reply["text"], file=sys.stdout if reply["ok"] else sys.stderr)
    if reply["ok"]:
        return 0
    unreadable = isinstance(reply["data"], dict) and reply["data"].get("column") is not None
    return 3 if reply.get("refused") else 2 if unreadable else 1
