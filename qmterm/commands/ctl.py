"""`qmterm ctl …`: the engine's commands from a shell, over its Unix socket."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from qmterm.commands.places import places
from qmterm.core.errors import ConfigError
from qmterm.engine.control import DEARER_WORD, SEND, ask, parse_verb


def run(
    words: list[str],
    *,
    as_json: bool,
    socket: Path | None = None,
    until: str | None = None,
    max_loss: str | None = None,
    send: bool = False,
    dearer: bool = False,
) -> int:
    """0 when the engine did it, 1 when it said no, 2 for words it cannot read, 3 when risk refuses."""
    if words[:1] == ["arm"]:
        words = [*words, *(given for given in (until, max_loss) if given is not None)]
    elif until is not None or max_loss is not None:
        raise ConfigError("--until and --max-loss belong to ctl arm")
    if send and words[:1] not in (["order"], ["roll"]):
        raise ConfigError("--send belongs to ctl order and ctl roll")
    if dearer and words[:1] != ["edit"]:
        raise ConfigError("--dearer belongs to ctl edit")
    unknown = next((word for word in words if word[:1] == "-" and not _is_number(word)), None)
    if unknown is not None:  # the command line lets through what is no option of its own: a price may be negative
        raise ConfigError(f"ctl has no option {unknown}")
    everything = words == ["orders", "all"]
    words = ["orders", "all"] if words == ["orders"] else words  # what has ended is counted where it is not shown
    words = [*words, SEND] if send else [*words, DEARER_WORD] if dearer else words
    parse_verb(words)  # wrong use is said before the engine is asked
    reply = ask(socket or places().socket, words)
    if as_json:
        print(json.dumps(reply))
    elif words[0] == "flow" and reply["ok"] and isinstance(reply["data"], dict):
        from qmterm.commands.flow import print_flow  # not for the others: a kill must not wait for its imports

        print_flow({"from": "engine", **reply["data"]}, sys.stdout)
    elif words[0] == "orders" and reply["ok"] and isinstance(reply["data"], list):
        from qmterm.engine.show.order_list import order_words

        print("\n".join(order_words(reply["data"], everything=everything)))
    else:
        print(reply["text"], file=sys.stdout if reply["ok"] else sys.stderr)
        for line in _named(reply):
            print(line)
    if reply["ok"]:
        return 0
    unreadable = isinstance(reply["data"], dict) and reply["data"].get("column") is not None
    return 3 if reply.get("refused") else 2 if unreadable else 1


def _named(reply: dict[str, object]) -> list[str]:
    """The id of what an answer is about, with what may be done with it; none where it names nothing."""
    data = reply["data"]
    if not reply["ok"] or not isinstance(data, dict):
        return []
    if data.get("order"):
        return [f"order {data['order']}  (qmterm why ID, qmterm ctl cancel ID)"]
    if data.get("proposal"):
        name, limit = data["proposal"], data.get("limit")
        return [f"proposal {name}  (qmterm ctl approve {name} {limit}, qmterm ctl reject {name})"]
    return []


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
