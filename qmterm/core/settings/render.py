"""Settings as a commented TOML file: the models' own words become its comments, so that file and code cannot differ.

A line that starts with `# ` explains; `#key = value` is a default, and taking its `#` away is all a change needs.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

WIDTH = 100
_BOUNDS = (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))


def commented(settings: BaseModel) -> Iterator[str]:
    """Every section and key with its meaning, range and default; a value that differs from it is not commented out."""
    for name, field in type(settings).model_fields.items():
        yield f"# {'─' * (WIDTH - 2)}"
        yield from _prose(field.description or name)
        yield f"[{name}]"
        yield ""
        yield from _section(getattr(settings, name))


def plain(settings: BaseModel) -> Iterator[str]:
    """Every section and key with its value, no comments; keys without a value are left out."""
    for name in type(settings).model_fields:
        section: BaseModel = getattr(settings, name)
        yield f"[{name}]"
        for key in type(section).model_fields:
            text = toml_value(getattr(section, key))
            if text is not None:
                yield f"{key} = {text}"
        yield ""


def _section(section: BaseModel) -> Iterator[str]:
    fresh = type(section)()
    for name, field in type(section).model_fields.items():
        value, default = getattr(section, name), getattr(fresh, name)
        yield from _prose(_explained(field))
        text = toml_value(value)
        mark = "" if text is not None and value != default else "#"
        # TOML knows no empty value: show the first word the key takes, which is one example of what could stand there.
        yield f"{mark}{name} = {text or toml_value(next(iter(_words(field.annotation)), ''))}"
        yield ""


def _prose(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ")


def _explained(field: FieldInfo) -> str:
    """The description, and the range and choices that it does not name itself."""
    meaning = (field.description or "").rstrip(".")
    extra = [text for text in (_range(field.metadata), _choices(field.annotation, meaning)) if text]
    extra = [text for text in extra if text not in meaning]
    return f"{meaning} ({'; '.join(extra)})" if extra else meaning


def _range(metadata: list[Any]) -> str:
    found = {
        attribute: _number(getattr(item, attribute))
        for item in metadata
        for attribute, _ in _BOUNDS
        if getattr(item, attribute, None) is not None
    }
    if found.keys() == {"ge", "le"}:
        return f"{found['ge']} to {found['le']}"
    return ", ".join(f"{word} {found[attribute]}" for attribute, word in _BOUNDS if attribute in found)


def _choices(annotation: Any, meaning: str) -> str:
    """The words an enumeration or Literal takes, unless the description has them all."""
    choices = _words(annotation)
    return "" if all(word in meaning for word in choices) else f"one of {', '.join(choices)}"


def _words(annotation: Any) -> list[str]:
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, Enum):
            return [str(member.value) for member in kind]
        if get_origin(kind) is Literal:
            return [str(word) for word in get_args(kind) if isinstance(word, str)]
    return []


def _number(value: float) -> str:
    return f"{int(value)}" if float(value).is_integer() else f"{value}"


def toml_value(value: Any) -> str | None:
    """A value as TOML text; None for no value, which TOML cannot say."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case Enum():
            return toml_value(value.value)
        case int():
            return str(value)
        case float():
            return _number(value) if abs(value) < 1e15 else repr(value)
        case Decimal():
            return str(value)
        case str():
            return _quoted(value)
        case Mapping():
            inside = ", ".join(f"{_quoted(str(key))} = {toml_value(item)}" for key, item in value.items())
            return f"{{ {inside} }}" if inside else "{}"
        case list() | tuple():
            return "[" + ", ".join(str(toml_value(item)) for item in value) + "]"
        case _:
            raise TypeError(f"a setting of type {type(value).__name__} cannot be written as TOML")


def _quoted(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(c) or (f"\\u{ord(c):04X}" if ord(c) < 32 else c) for c in text) + '"'
