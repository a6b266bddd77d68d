"""The broker put together: one account in one world, its routes in an aiohttp application, stepped by the market.

The trap: everything changes either inside a request or inside `on_step`, both on the server's one loop and without
waiting, so that no request ever sees a half-made step.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal

from aiohttp import WSCloseCode, web

from qmterm.sim.brokerage.adjustments import adjust_positions
from qmterm.sim.brokerage.book import Book
from qmterm.sim.brokerage.complex_orders import ComplexDesk
from qmterm.sim.brokerage.desk import Desk
from qmterm.sim.brokerage.door import Door, Outage, body_of, ok, refusal
from qmterm.sim.brokerage.dxlink import DxLink
from qmterm.sim.brokerage.faults import FAULTS, Faults
from qmterm.sim.brokerage.ledger import Ledger
from qmterm.sim.brokerage.life import OrderLife
from qmterm.sim.brokerage.oauth import LIFETIME_S, AccessTokens
from qmterm.sim.brokerage.refusals import Refused
from qmterm.sim.brokerage.routes_account import AccountRoutes
from qmterm.sim.brokerage.routes_market import MarketRoutes
from qmterm.sim.brokerage.routes_orders import OrderRoutes
from qmterm.sim.brokerage.settlement import settle_expired
from qmterm.sim.brokerage.stream import AccountStream
from qmterm.sim.brokerage.world import BrokerageWorld

ACCOUNT = "5WT00001"
STARTING_CASH = Decimal(100_000)


class Brokerage:
    """tastytrade for one account. `token` is both client secret and refresh token; access tokens come from OAuth.

    `participation` is the share of a displayed size one look may take; `stagger_fills` reports a spread's legs one
    message after the other; `in_flight` shows that status too; `real_time` is for tests of token life.
    """

    def __init__(
        self,
        world: BrokerageWorld,
        token: str,
        starting_cash: Decimal = STARTING_CASH,
        account: str = ACCOUNT,
        *,
        participation: float = 0.5,
        stagger_fills: bool = False,
        in_flight: bool = False,
        token_lifetime_s: float = LIFETIME_S,
        real_time: Callable[[], float] = time.monotonic,
    ) -> None:
        self.world = world
        self.account = account
        self.faults = Faults()
        self.tokens = AccessTokens(token, token_lifetime_s, real_time)
        self.stream = AccountStream(account, self.tokens, self.faults, lambda: world.now_ns, real_time)
        self.outage = Outage(self.faults, real_time)
        self.dxlink = DxLink(world)
        self.book = Book(starting_cash)
        self._splits = 0  # of the world's, how many the positions went through
        self.desk = Desk(world, self.book, account, self.stream.emit)
        self.complexes = ComplexDesk(self.desk)
        self.life = OrderLife(
            self.desk, self.faults, participation=participation, stagger_fills=stagger_fills, in_flight=in_flight
        )
        self.life.after_change = self.complexes.after_change
        self.ledger = Ledger(self.desk, self.faults)

    @property
    def account_sequence(self) -> int:
        """The last ws-sequence that was issued (also for a frame that a fault swallowed)."""
        return self.stream.sequence

    async def on_step(self, now_ns: int) -> None:
        """After the world moved to `now_ns`: orders live on, expired options settle, the stream hears of it."""
        if now_ns != self.world.now_ns:
            raise ValueError(f"step to {now_ns}, but the world stands at {self.world.now_ns}")
        self._disturb_stream()
        self._splits = adjust_positions(self.book, self.world, self._splits, now_ns)
        self.complexes.start()
        self.life.step()
        settle_expired(self.book, self.world)
        self.ledger.publish()
        close = self.faults.draw("dxlink_close")
        if close is not None:
            await self.dxlink.close_all(int(close["code"]))
        self.dxlink.publish()

    def _disturb_stream(self) -> None:
        if self.outage.begin():
            self.stream.close_all(WSCloseCode.GOING_AWAY)
        mute = self.faults.draw("mute_stream")
        if mute is not None:
            self.stream.mute(float(mute["seconds"]))
        poison = self.faults.draw("poison_event") if self.stream.listeners else None
        if poison is not None:
            self.stream.poison(str(poison["type"]))
        close = self.faults.draw("stream_close") if self.stream.listeners else None
        if close is not None:
            self.stream.close_all(int(close["code"]))

    # --- routes that need no access token ---

    async def grant_token(self, request: web.Request) -> web.StreamResponse:
        try:
            body = await body_of(request)
        except Refused:
            body = None
        short = self.faults.draw("short_token")
        status, answer = self.tokens.grant(body, None if short is None else float(short["seconds"]))
        return web.json_response(answer, status=status)

    async def quote_token(self, request: web.Request) -> web.StreamResponse:
        host = request.host
        data = {"token": self.dxlink.issue_token(), "dxlink-url": f"ws://{host}/dxlink", "level": "api"}
        return ok(data, request.path)

    def _is_owner(self, request: web.Request) -> bool:
        header = request.headers.get("Authorization", "")
        return header.startswith("Bearer ") and self.tokens.is_secret(header.removeprefix("Bearer "))

    async def set_fault(self, request: web.Request) -> web.StreamResponse:
        """POST {"fault": name, "times": n, …}; GET lists what is set and what there is; DELETE clears."""
        if not self._is_owner(request):
            return refusal(Refused(401, "unauthorized", "Send the simulator's token as Bearer."))
        try:
            if request.method == "POST":
                fault = self.faults.arm(await body_of(request))
                if fault.kind.name == "expire_tokens":
                    self.tokens.expire_all()
                    self.faults.active.remove(fault)
            elif request.method == "DELETE":
                self.faults.clear()
        except Refused as refused:
            return refusal(refused)
        known = {kind.name: {"acts": kind.acts, "help": kind.help, **kind.defaults} for kind in FAULTS.values()}
        return ok({"active": self.faults.as_json(), "known": known}, request.path)


def add_routes(app: web.Application, brokerage: Brokerage) -> None:
    """Put tastytrade's REST, the account stream at /streamer and the fault switch into an application."""

    async def close_streams(_: web.Application) -> None:
        brokerage.stream.close_all(WSCloseCode.GOING_AWAY)
        await brokerage.dxlink.close_all(WSCloseCode.GOING_AWAY)

    app.on_shutdown.append(close_streams)
    door = Door(brokerage.tokens, brokerage.faults, brokerage.account, brokerage.outage)
    app.router.add_post("/oauth/token", door.whole(brokerage.grant_token))
    app.router.add_get("/api-quote-tokens", door.open(brokerage.quote_token))
    app.router.add_get("/streamer", door.whole(brokerage.stream.serve))
    app.router.add_get("/dxlink", brokerage.dxlink.serve)
    for method in ("GET", "POST", "DELETE"):
        app.router.add_route(method, "/sim/broker-faults", brokerage.set_fault)
    AccountRoutes(brokerage.desk, brokerage.ledger).add(app, door)
    OrderRoutes(brokerage.desk, brokerage.complexes, brokerage.faults).add(app, door)
    MarketRoutes(brokerage.world).add(app, door)
