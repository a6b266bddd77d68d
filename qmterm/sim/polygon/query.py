"""Reading a request's query: range filters, limits, order, and cursors that carry the query to the next page."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import msgspec

from qmterm.sim.polygon.answers import Refused

Row = TypeVar("Row")
PRODUCTION = "https://api.polygon.io"
_SUFFIXES = ("gte", "gt", "lte", "lt", "any_of")


class Query:
    """The parameters of one request; a cursor brings back those of the first page."""

    def __init__(self, path: str, parameters: Mapping[str, str]) -> None:
        self.path = path
        self.values = dict(parameters)
        self.values.pop("apiKey", None)
        self.offset = 0
        cursor = self.values.pop("cursor", None)
        if cursor is not None:
            try:
                saved = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
                self.offset = int(saved.pop("offset"))
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise Refused(400, "ERROR", "The cursor of this request is not valid.") from error
            self.values = {**saved, **self.values}

    def get(self, name: str, default: str = "") -> str:
        return self.values.get(name, default)

    def limit(self, default: int, most: int) -> int:
        text = self.get("limit", str(default))
        if not text.isdigit() or int(text) == 0:
            raise Refused(400, "ERROR", f"limit must be a whole number from 1 to {most}, not {text!r}")
        return min(int(text), most)

    @property
    def descending(self) -> bool:
        return self.get("order", self.get("sort_order", "")).startswith("desc")

    def bounds(self, name: str) -> Callable[[str], bool]:
        """A test of a text (dates, times, tickers) against all filters on a field."""
        wanted = {suffix: self.values.get(f"{name}.{suffix}") for suffix in _SUFFIXES}
        exact = self.values.get(name)
        any_of = wanted["any_of"].split(",") if wanted["any_of"] else None

        def passes(value: str) -> bool:
            return (
                (exact is None or value == exact)
                and (any_of is None or value in any_of)
                and (wanted["gte"] is None or value >= wanted["gte"])
                and (wanted["gt"] is None or value > wanted["gt"])
                and (wanted["lte"] is None or value <= wanted["lte"])
                and (wanted["lt"] is None or value < wanted["lt"])
            )

        return passes

    def numbers(self, name: str) -> dict[str, float]:
        """Filters on a numeric field: "" for the exact value, else gte, gt, lte, lt."""
        out: dict[str, float] = {}
        for suffix in ("", "gte", "gt", "lte", "lt"):
            key = f"{name}.{suffix}" if suffix else name
            if key in self.values:
                try:
                    out[suffix] = float(self.values[key])
                except ValueError as error:
                    raise Refused(400, "ERROR", f"{key} must be a number, not {self.values[key]!r}") from error
        return out

    def next_url(self, offset: int) -> str:
        saved = {**self.values, "offset": offset}
        cursor = base64.urlsafe_b64encode(msgspec.json.encode(saved)).decode().rstrip("=")
        return f"{PRODUCTION}{self.path}?cursor={cursor}"

    def page(self, rows: Iterable[Row], limit: int) -> tuple[list[Row], str | None]:
        """One page of rows and where the next one is."""
        every = rows if isinstance(rows, list) else list(rows)
        part = every[self.offset : self.offset + limit]
        end = self.offset + len(part)
        return part, self.next_url(end) if end < len(every) else None
