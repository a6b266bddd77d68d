"""Drives a server in lockstep: one POST takes the market to its next step, and it stands until the next POST.

The trap: the answer says that the step happened, not that its frames have been read; wait for the streams' markers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec

from qmterm.core.errors import DataError, DataSilent

if TYPE_CHECKING:
    import aiohttp


class _Stepped(Protocol):
    async def wait_step(self, step: int, timeout: float) -> object: ...


@dataclass(frozen=True, slots=True)
class StepInfo:
    step: int
    now_ns: int
    account_sequence: int  # account-stream messages sent so far
    done: bool  # the market has come to its end


class _Answer(msgspec.Struct):
    step: int
    now_ns: int
    account_sequence: int = 0
    done: bool = False


_answer = msgspec.json.Decoder(_Answer)


class LockstepDriver:
    """`http` is the caller's aiohttp session; `sim_url` the server's base address."""

    def __init__(self, sim_url: str, token: str, http: aiohttp.ClientSession, timeout_s: float = 60.0) -> None:
        self._url = sim_url.rstrip("/") + "/sim/advance"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._http = http
        self._timeout_s = timeout_s

    async def advance(self, steps: int = 1, set_clock: Callable[[int], None] | None = None) -> StepInfo:
        """Take the market forward; `set_clock` is moved to the step's time (StepClock.set)."""
        import aiohttp

        try:
            async with self._http.post(
                self._url,
                json={"steps": steps},
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            ) as response:
                body = await response.read()
                if response.status != 200:
                    text = body[:200].decode("utf-8", "replace")
                    raise DataError(f"lockstep server {self._url} answers {response.status}: {text}")
        except TimeoutError:
            raise DataSilent(f"lockstep server {self._url}: no answer in {self._timeout_s:g} s") from None
        except aiohttp.ClientError as failure:
            raise DataError(f"lockstep server {self._url} cannot be reached ({failure})") from None
        try:
            answer = _answer.decode(body)
        except msgspec.DecodeError as failure:
            raise DataError(f"lockstep server {self._url}: unreadable answer ({failure})") from None
        if set_clock is not None:
            set_clock(answer.now_ns)
        return StepInfo(answer.step, answer.now_ns, answer.account_sequence, answer.done)


async def advance_and_read(
    driver: LockstepDriver, streams: _Stepped, set_clock: Callable[[int], None], timeout_s: float = 30.0
) -> StepInfo:
    """One step, and all its frames on the board."""
    info = await driver.advance(1, set_clock)
    await streams.wait_step(info.step, timeout_s)
    return info
