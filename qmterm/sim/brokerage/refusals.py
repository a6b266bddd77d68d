"""How the broker says no: one exception, rendered as tastytrade's error envelope.

The trap: the SDK keeps only the inner `errors`, so the code a client acts on must be there when there are several.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One inner error: the broker's code and one sentence."""

    code: str
    message: str

    def as_json(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message}


class Refused(Exception):
    """A request the broker answers with an error; nothing was done."""

    def __init__(self, status: int, code: str, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.problems = problems
        self.data: dict[str, Any] | None = None  # a failed dry run still carries its buying-power effect

    def as_json(self) -> dict[str, Any]:
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.problems:
            error["errors"] = [problem.as_json() for problem in self.problems]
        body: dict[str, Any] = {"error": error}
        if self.data is not None:
            body["data"] = self.data
        return body


class MalformedRequest(Refused):
    """A body that is not an order: answered 400 with the field and the reason."""

    def __init__(self, domain: str, reason: str) -> None:
        super().__init__(400, "validation_error", "Request validation failed")
        self.domain = domain
        self.reason = reason

    def as_json(self) -> dict[str, Any]:
        inner = [{"domain": self.domain, "reason": self.reason}]
        return {"error": {"code": self.code, "message": self.message, "errors": inner}}


def preflight_failed(problems: tuple[Problem, ...]) -> Refused:
    return Refused(422, "preflight_check_failure", "One or more preflight checks failed", problems)


def not_found(what: str) -> Refused:
    return Refused(404, "record_not_found", f"Couldn't find {what}")


def cannot_update(message: str) -> Refused:
    return Refused(422, "cannot_update_order", message)
