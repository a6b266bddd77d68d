"""Start a simulator as a child that cannot outlive its owner: its stdin is a pipe that only the owner holds.

The trap: the pipe must not be inherited by other children, or the simulator would live as long as they do; asyncio's
subprocess pipes are close-on-exec, so they are not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
from dataclasses import dataclass, field

from qmterm.core.errors import BadInput, SimError
from qmterm.sim.options import SimOptions

READY_S = 60.0
ENDING_S = 10.0  # a process that said something else, or nothing, is on its way out
STOP_S = 5.0
STDERR_LINES = 12


@dataclass
class RunningSim:
    """A simulator that answers at `url` (REST) and `ws_url` (streams)."""

    url: str
    ws_url: str
    token: str
    now_ns: int
    process: asyncio.subprocess.Process
    notice: str = ""  # what the person should know of its market (Market.notice)
    errors: list[str] = field(default_factory=list)
    _reader: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    async def close(self) -> None:
        """End it: by closing its stdin, then by force."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_S)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader


def _arguments(options: SimOptions) -> list[str]:
    out = [
        *("--seed", str(options.seed)),
        *("--symbols", str(options.symbols)),
        *("--speed", str(options.speed)),
        *("--step-s", str(options.step_s)),
        *("--port", str(options.port)),
        *("--plan", options.plan),
        *("--starting-cash", str(options.starting_cash)),
        "--token-env",
        "--owned",
    ]
    for event in options.events:
        out += ["--event", event]
    if options.lockstep:
        out.append("--lockstep")
    if options.start is not None:
        out += ["--start", options.start]
    if options.replay is not None:
        out += ["--replay", str(options.replay)]
    if options.until is not None:
        out += ["--until", options.until]
    return out


async def spawn(options: SimOptions, ready_s: float = READY_S) -> RunningSim:
    """A simulator of its own. When it does not come up: BadInput with its own sentence for wrong use (a replay of
    nothing), else SimError with the end of its stderr.
    """
    token = options.token or secrets.token_urlsafe(24)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "qmterm.sim",
        *_arguments(options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "QMTERM_SIM_TOKEN": token},
        start_new_session=True,  # a Ctrl-C at the terminal is the owner's to handle
    )
    assert process.stdout is not None
    errors: list[str] = []
    reader = asyncio.create_task(_keep_tail(process, errors))
    try:
        line = await asyncio.wait_for(process.stdout.readline(), ready_s)
        about = json.loads(line)
        url, now_ns, notice = about["url"], int(about["now"]), about.get("notice", "")
        return RunningSim(url, about["ws_url"], token, now_ns, process, notice, errors, reader)
    except (TimeoutError, ValueError, KeyError) as error:
        code = await _end(process, 0.0 if isinstance(error, TimeoutError) else ENDING_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reader, 1.0)
        if code == BadInput.exit_code and errors:
            raise BadInput(errors[-1].removeprefix("qmterm sim: ")) from error
        late = f"was not ready in {ready_s:g} s" if isinstance(error, TimeoutError) else f"ended with code {code}"
        said = " | ".join(errors) or "it said nothing on stderr"
        raise SimError(f"the simulator {late}: {said}") from error


async def _end(process: asyncio.subprocess.Process, patience_s: float) -> int:
    """Its exit code; killed when it does not end by itself.

    A kill looks first whether it lives, and takes the exit code away from asyncio when it does not: 255 is reported.
    """
    try:
        return await asyncio.wait_for(process.wait(), patience_s)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        return await process.wait()


async def _keep_tail(process: asyncio.subprocess.Process, lines: list[str]) -> None:
    assert process.stderr is not None
    async for line in process.stderr:
        lines.append(line.decode("utf-8", "replace").rstrip())
        del lines[:-STDERR_LINES]
