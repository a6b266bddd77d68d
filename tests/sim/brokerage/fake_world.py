"""A market one can set by hand, and the option symbols the broker's tests trade in it."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from qmterm.core.calendar import SessionCalendar
from qmterm.core.clock import NS, from_et
from qmterm.core.instruments import OptionContract, Right, is_option, parse_option, underlying_of
from qmterm.core.quotes import Quote

TOKEN = "sim-secret-token"
CALENDAR = SessionCalendar.load(date(2026, 1, 1), date(2027, 12, 31))
MONDAY = date(2026, 3, 2)
APRIL = date(2026, 4, 17)


@dataclass
class FakeWorld:
    """Quotes and settlements are set by the test; time moves when told."""

    now_ns: int = from_et(MONDAY, 10)
    calendar: SessionCalendar = CALENDAR
    quotes: dict[str, Quote] = field(default_factory=dict)
    settled: dict[str, float] = field(default_factory=dict)

    @property
    def phase(self):
        return self.calendar.phase(self.now_ns)

    def set(self, symbol, bid, ask, size=100):
        self.quotes[symbol] = Quote(symbol, bid, ask, size, size, self.now_ns, self.now_ns)

    def quote(self, symbol):
        return self.quotes.get(symbol)

    def contract(self, occ):
        if not is_option(occ) or (occ not in self.quotes and occ[:6].strip() != "AAPL"):
            return None
        return parse_option(occ)

    def symbol_exists(self, ticker):
        return ticker in self.quotes or ticker in ("AAPL", "SPX")

    def is_optionable(self, ticker):
        return ticker == "AAPL"

    def last(self, symbol):
        quote = self.quotes.get(symbol)
        return None if quote is None else (quote.bid + quote.ask) / 2

    def previous_close(self, symbol):
        return 230.0 if symbol == "AAPL" else None

    def settlement(self, occ):
        return self.settled.get(underlying_of(occ))

    def chain_symbols(self, ticker):
        return {APRIL: (220.0, 230.0, 240.0)} if ticker == "AAPL" else {}


def option(strike, right="C", expiry=APRIL, root="AAPL"):
    return OptionContract(root, expiry, Right(right), Decimal(strike)).occ


CALL_230, CALL_240 = option(230), option(240)
PUT_220, PUT_210 = option(220, "P"), option(210, "P")


def fresh_world():
    world = FakeWorld()
    world.set("AAPL", 230.00, 230.02, 1000)
    world.set(CALL_230, 5.00, 5.10)
    world.set(CALL_240, 2.00, 2.10)
    world.set(PUT_220, 3.00, 3.10)
    world.set(PUT_210, 1.20, 1.30)
    return world


async def step(broker, seconds=1):
    """Move the market on and let the broker follow."""
    broker.world.now_ns += int(seconds * NS)
    await broker.on_step(broker.world.now_ns)
