"""What is wrong with a configuration file, one line a problem: file, line, key, and what was probably meant.

The trap: TOML parsers and pydantic know no line numbers of values, so the key is looked up in the text again.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_SECRET_WORDS = ("key", "secret", "token", "password", "refresh", "webhook", "account")
_PLAINER = {
    "Cannot overwrite a value": "this key is set twice",
    "Invalid statement": "not a [section], a key = value or a # comment",
    "Invalid value": "not a value: text needs quotes, numbers and true/false do not",
}


def toml_problem(message: str, text: str, file: str) -> str:
    """A parser's complaint as `file:line: …`."""
    place = _TOML_PLACE.search(message)
    words = message[: place.start()] if place else message
    line = (place.group(1) if place else None) or str(len(text.splitlines()) or 1)
    twice = re.fullmatch(r"Cannot declare \((.*?),?\) twice", words)
    if twice:
        section = ".".join(re.findall(r"[\w-]+", twice.group(1)))
        words = f"the section [{section}] stands here a second time"
    return f"{file}:{line}: not valid TOML: {_PLAINER.get(words, words)}"


def explain(problem: Mapping[str, Any], text: str, file: str, root: type[BaseModel]) -> str:
    """One pydantic error as `file:line: section.key: what is wrong, what was meant`."""
    path = [str(part) for part in problem["loc"]]
    where = f"{file}:{line_of(path, text)}: {'.'.join(path) or 'the file'}"
    if problem["type"] == "extra_forbidden":
        return f"{where}: {_unknown(path, root)}"
    if problem["type"] in ("model_type", "model_attributes_type"):
        return f"{where}: this is a section: write [{path[-1]}] on a line of its own and its keys below"
    message = str(problem["msg"]).removeprefix("Value error, ")
    given = problem.get("input")
    shown = f" (got {given!r})" if isinstance(given, str | int | float | bool) else ""
    return f"{where}: {message}{shown}"


def _unknown(path: list[str], root: type[BaseModel]) -> str:
    """The nearest valid key, the section it belongs to, or where secrets live."""
    name = path[-1]
    known = _keys_at(path[:-1], root)
    what = "unknown section" if len(path) == 1 and name not in _all_keys(root) else "unknown key"
    homes = _all_keys(root).get(name, [])
    if homes:
        return f"{what} here; it belongs under {' or '.join(f'[{home}]' for home in homes)}"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"{what}; did you mean {near[0]!r}?"
    if any(word in name.lower() for word in _SECRET_WORDS):
        return f"{what}; secrets never live in this file: keep them with `qmterm config secret set NAME`"
    return f"{what}; valid here: {', '.join(sorted(known))}"


def _section_of(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _keys_at(path: list[str], root: type[BaseModel]) -> list[str]:
    model = root
    for part in path:
        field = model.model_fields.get(part)
        inner = _section_of(field.annotation) if field is not None else None
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def _all_keys(root: type[BaseModel]) -> dict[str, list[str]]:
    """Every key of every section, with the sections that have it."""
    homes: dict[str, list[str]] = {}
    for section, field in root.model_fields.items():
        model = _section_of(field.annotation)
        for key in model.model_fields if model is not None else ():
            homes.setdefault(key, []).append(section)
    return homes


def line_of(path: list[str], text: str) -> int:
    """The line a key stands on; when it is not found (an item of a list, a default) that of what it is part of."""
    places = _places(text)
    for length in range(len(path), 0, -1):
        line = places.get(".".join(path[:length]))
        if line is not None:
            return line
    return 1


def _places(text: str) -> dict[str, int]:
    """The first line of every section and key, by dotted name."""
    places: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        header = re.match(r"^\[\s*([^\[\]]+?)\s*\]", stripped)
        if header:
            section = _bare(header.group(1))
            places.setdefault(section, number)
            continue
        name = re.match(r"""^([\w."'-]+(?:\s*\.\s*[\w"'-]+)*)\s*=""", stripped)
        if name:
            key = _bare(name.group(1))
            places.setdefault(f"{section}.{key}" if section else key, number)
    return places


def _bare(name: str) -> str:
    return re.sub(r"""["'\s]""", "", name)
