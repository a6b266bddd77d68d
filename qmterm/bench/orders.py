"""`qmterm bench orders`: from a signal to the bytes of the order on the wire, against the bare SDK in the same run.

Ours is everything an order passes: gate, lane, the intent's fsync, adapter, SDK. The disk's own time is stated apart:
it is the price of "written before sent", and another disk has another. What it works while the order is built costs
nothing, so only what the finished order still waits for it is taken off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from qmterm.bench.machine import Machine
from qmterm.bench.order_host import OrderHost
from qmterm.bench.report import Limit, Report, Row

ORDERS = 400
PACE_S = 0.05  # 20 a second
TURNS = 20  # in turns, and short ones: a machine has quick minutes and slow ones
CONFIRMED_S = 0.03  # from a cancel to its confirmation, about; each by itself, not in time with the orders
IDLE_S = 8.0  # the SDK's own connections would be closed after five


def run(size: int = ORDERS, *, quick: bool = False, progress: Callable[[str], None] = lambda _: None) -> Report:
    """All rows; `size` orders of each contestant."""
    machine = Machine.here()
    progress(f"{size} orders each at 20 a second")
    ours, bare, after_idle = asyncio.run(_measured(size, 1 if quick else TURNS, quick))
    working = [total - waited for total, waited in zip(ours["total"], ours["waited"], strict=True)]
    rows: list[Row] = []
    for share, most in ((0.5, 1.5), (0.99, 2.0)):
        mine, peer = 1000 * _share(working, share), 1000 * _share(bare["total"], share)
        rows.append(
            Row(
                work=f"signal to bytes on the wire without the wait for the disk, p{share * 100:g}",
                ours=mine,
                unit="ms",
                peer=peer,
                peer_name="the bare SDK's place_order",
                ratio=peer / mine,
                must=Limit(ratio=1 / most),
                note=f"at most {most:g} times the peer is asked: {mine / peer:.2f} times; {len(working)} orders each",
            )
        )
    whole, bare_p50, bare_p99 = ours["total"], _share(bare["total"], 0.5), _share(bare["total"], 0.99)
    rows.append(
        Row(
            work="all of it, with the disk, p50",
            ours=1000 * _share(whole, 0.5),
            unit="ms",
            peer=1000 * bare_p50,
            peer_name="the bare SDK's place_order",
            ratio=bare_p50 / _share(whole, 0.5),
            note=f"{_share(whole, 0.5) / bare_p50:.2f} times the peer; p99 {1000 * _share(whole, 0.99):.3g} ms, "
            f"{_share(whole, 0.99) / bare_p99:.2f} times",
        )
    )
    for what, values in (
        ("what a finished order waits for the disk", ours["waited"]),
        ("the disk's work (SQLite, fsync), mostly beside the building", ours["disk"]),
    ):
        rows.append(
            Row(
                work=f"{what}, p50",
                ours=1000 * _share(values, 0.5),
                unit="ms",
                note=f"p99 {1000 * _share(values, 0.99):.3g} ms",
            )
        )
    rows.append(
        Row(
            work="CPU of the whole process until the bytes left, p50",
            ours=1000 * _share(ours["cpu"], 0.5),
            unit="ms",
            peer=1000 * _share(bare["cpu"], 0.5),
            peer_name="the bare SDK's place_order",
            ratio=_share(bare["cpu"], 0.5) / _share(ours["cpu"], 0.5),
            note="a busy machine stretches times, not this",
        )
    )
    rows.append(
        Row(
            work="connections opened or tokens renewed on the way of an order",
            ours=float(ours["connects"] + ours["renewals"] + after_idle["connects"] + after_idle["renewals"]),
            unit="times",
            must=Limit(most=0.0),
            note=f"also for an order after {IDLE_S:g} s of silence, which took {1000 * after_idle['total'][0]:.3g} ms",
        )
    )
    return Report(
        "orders",
        machine,
        tuple(rows),
        (
            "both in one process on one loop, a broker on loopback in another, on a CPU of its own where there are two",
            "the disk works beside the building of the order: that is not taken off, only the wait that is left of it",
        ),
    )


async def _measured(size: int, turns: int, quick: bool) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    ours: dict[str, Any] = {"total": [], "disk": [], "waited": [], "cpu": [], "connects": 0, "renewals": 0}
    bare: dict[str, Any] = {"total": [], "cpu": [], "connects": 0, "renewals": 0}
    async with OrderHost(CONFIRMED_S) as host:
        await host.start()
        await host.apart()
        each = {"pace_s": PACE_S, "symbols": host.symbols}
        beside = {"bare": {"url": host.bare_server.url}}
        for what in ("ours", "bare"):  # warm both up
            await host.ask(what, "times", count=10, **each, **beside.get(what, {}))
        for _ in range(turns):
            for into, what in ((ours, "ours"), (bare, "bare")):
                found = await host.ask(what, "times", count=size // turns, **each, **beside.get(what, {}))
                for name, value in found.items():
                    into[name] += value
        await asyncio.sleep(1.0 if quick else IDLE_S)
        after_idle = await host.ask("ours", "times", count=1, **each)
    return ours, bare, after_idle


def _share(values: list[float], share: float) -> float:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]
