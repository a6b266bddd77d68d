"""The simulator put together: one world, Polygon's face, the broker's face, and the controls under /sim.

The trap: it must never be reachable from another machine. It binds 127.0.0.1 and refuses every other peer besides.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
from aiohttp import web

from qmterm.core.errors import BadInput
from qmterm.sim.brokerage.app import Brokerage
from qmterm.sim.brokerage.app import add_routes as add_brokerage
from qmterm.sim.drive import Drive
from qmterm.sim.faults import KINDS, Faults
from qmterm.sim.market import Market
from qmterm.sim.options import SimOptions
from qmterm.sim.polygon import app as polygon
from qmterm.sim.polygon.answers import Context, answer
from qmterm.sim.polygon.plan import PLANS
from qmterm.sim.polygon.stream import StreamHub

LOOPBACK = ("127.", "::1")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MAX_STEPS = 10_000


@web.middleware
async def _loopback_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    if not (request.remote or "").startswith(LOOPBACK):
        return web.json_response({"error": "The simulator answers this machine only."}, status=403)
    return await handler(request)


class SimServer:
    def __init__(self, world: Market, options: SimOptions, token: str, shown: Market | None = None) -> None:
        """`shown` is what the data side shows, when a delayed plan makes that another market than the broker's."""
        self.world = world
        self.options = options
        self.token = token
        self.stopped = asyncio.Event()
        self.away: asyncio.Queue[float] = asyncio.Queue()  # seconds for which nobody is let in
        self.failure: BaseException | None = None
        plan = PLANS[options.plan]
        self.shown = shown or world
        self.drive = Drive(world, options, self.shown)
        self.faults = Faults(options.seed)
        self.context = Context(self.shown, token, plan, self.drive.now, self.faults)
        self.hub = StreamHub(self.context)
        self.brokerage = Brokerage(world, token, options.starting_cash)
        self.drive.attach(self.hub, self.brokerage.on_step)

    def application(self) -> web.Application:
        app = web.Application(middlewares=[_loopback_only])
        polygon.add_routes(app, self.context)
        self.hub.add_routes(app)
        add_brokerage(app, self.brokerage)
        app.router.add_get("/sim/state", self._owned(self.state))
        app.router.add_post("/sim/advance", self._owned(self.advance))
        app.router.add_post("/sim/away", self._owned(self.go_away))
        app.router.add_post("/sim/shutdown", self._owned(self.shutdown))
        for method in ("GET", "POST", "DELETE"):
            app.router.add_route(method, "/sim/faults", self._owned(self.set_faults))
        app.router.add_post("/sim/events", self._owned(self.add_event))
        app.router.add_post("/sim/connections", self._owned(self.set_connections))
        if not self.options.lockstep:
            app.cleanup_ctx.append(self._run)
        return app

    async def _run(self, app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(self.drive.run())
        task.add_done_callback(self._ended)
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A market that stopped moving by an error must not look like a quiet one: the process ends."""
        if not task.cancelled() and task.exception() is not None:
            self.failure = task.exception()
            self.stopped.set()

    def _owned(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if request.headers.get("Authorization") != f"Bearer {self.token}":
                return answer({"error": "Send the simulator's token as a Bearer."}, 401)
            try:
                return await handler(request)
            except (BadInput, msgspec.DecodeError) as error:
                return answer({"error": str(error)}, 400)

        return guarded

    # --- controls ---

    async def state(self, request: web.Request) -> web.Response:
        return answer(
            {
                "now": self.drive.now(),
                "step": self.drive.step,
                "lockstep": self.options.lockstep,
                "speed": self.options.speed,
                "step_s": self.options.step_s,
                "seed": self.options.seed,
                "symbols": len(self.world.universe),
                "plan": self.options.plan,
                "world": self.options.world_name,
                "notice": self.world.notice,
                "account_sequence": self.brokerage.account_sequence,
                "done": self.drive.done,
            }
        )

    async def advance(self, request: web.Request) -> web.Response:
        if not self.options.lockstep:
            raise BadInput("this simulator runs freely: /sim/advance works in lockstep only")
        body = _object(await request.read())
        steps = body.get("steps", 1)
        if not isinstance(steps, int) or not 1 <= steps <= MAX_STEPS:
            raise BadInput(f"steps must be 1 to {MAX_STEPS}, not {steps!r}")
        await self.drive.advance(steps)
        now = self.world.now_ns
        return answer(
            {
                "step": self.drive.step,
                "now": now,
                "now_ns": now,
                "account_sequence": self.brokerage.account_sequence,
                "done": self.drive.done,
            }
        )

    async def shutdown(self, request: web.Request) -> web.Response:
        self.stopped.set()
        return answer({"stopping": True})

    async def go_away(self, request: web.Request) -> web.Response:
        """{"seconds": s}: every connection is dropped and new ones are refused for a while, this door included."""
        seconds = _object(await request.read()).get("seconds", 1.0)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= 600:
            raise BadInput(f"seconds must be above 0 and at most 600, not {seconds!r}")
        self.away.put_nowait(float(seconds))
        return answer({"away_s": seconds})

    async def set_faults(self, request: web.Request) -> web.Response:
        """POST switches a fault on, DELETE clears all, GET lists what is on and what there is."""
        if request.method == "POST":
            self.faults.add(_object(await request.read()))
        elif request.method == "DELETE":
            self.faults.clear()
        rules = [
            {"fault": rule.name, "path": rule.path, "left": rule.left, "value": rule.value}
            for rule in self.faults.rules
        ]
        known = {name: {"where": kind.where, "says": kind.says} for name, kind in KINDS.items()}
        return answer({"active": rules, "known": known})

    async def add_event(self, request: web.Request) -> web.Response:
        """A market event: {"halt": …}, {"halts": n}, {"split": …} or {"rename": …} (sim/happenings.py)."""
        event = _object(await request.read())
        planned = self.world.happenings.add(event)
        if self.shown is not self.world:
            self.shown.happenings.halts = self.world.happenings.halts
            if "split" in event or "rename" in event:
                self.shown.happenings.add(event)
        return answer({"planned": planned})

    async def set_connections(self, request: web.Request) -> web.Response:
        """{"allowed": n, "refuse_newcomer": bool}: the two reported behaviours of `max_connections`."""
        body = _object(await request.read())
        allowed = body.get("allowed", self.hub.connections_allowed)
        if not isinstance(allowed, int) or allowed < 1:
            raise BadInput(f"allowed must be a whole number from 1, not {allowed!r}")
        self.hub.connections_allowed = allowed
        self.hub.refuse_newcomer = bool(body.get("refuse_newcomer", False))
        return answer({"allowed": allowed, "refuse_newcomer": self.hub.refuse_newcomer})


def _object(raw: bytes) -> dict[str, object]:
    body = msgspec.json.decode(raw or b"{}")
    if not isinstance(body, dict):
        raise BadInput("the body must be a JSON object")
    return body
