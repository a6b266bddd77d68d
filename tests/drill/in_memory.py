"""One life of the drill's engine beside a simulated broker, without a script."""

from __future__ import annotations

from qmterm.broker.tastytrade import TastytradeBroker
from qmterm.drill.disk import Disk
from qmterm.drill.house import TOKEN, House
from qmterm.drill.market import DrillClock, DrillMarket
from qmterm.drill.process import OWNER, Process
from qmterm.drill.wire import ADDRESSES, MemoryTransport, Network
from qmterm.engine.runlog import RunLog
from qmterm.journal.journal import Journal


def house_in(folder, market: DrillMarket, network: Network) -> House:
    process, clock, disk = Process(), DrillClock(), Disk(folder)
    OWNER.set(process)
    broker = TastytradeBroker(ADDRESSES, TOKEN, TOKEN, clock=clock, transport=MemoryTransport(network, process))
    connect = disk.connect(process)
    return House(clock, broker, lambda: Journal.open(disk.path, clock, connect), market, RunLog(clock), [])
