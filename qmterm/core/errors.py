"""Every exception qmterm raises on purpose.

QmtermError
├── ConfigError        a configuration file, value or secret is wrong (exit code 2)
├── BadSymbol          not an instrument
├── BadInput           a file, argument or table given by the user is wrong (exit code 2)
├── DataError          the data server refused, failed, or sent something unreadable
│   ├── NotEntitled    the plan does not include it
│   ├── RateLimited    too many calls
│   ├── DataSilent     no answer in time
│   ├── DataAuthError  the data server does not accept the key
│   └── SubscriptionLimit  more channels wanted than one connection may carry
├── BrokerError        the broker answered with an error that is certain (nothing was done)
│   ├── BrokerAuthError  the broker does not accept the credentials
│   └── Withheld       a rule of ours kept an order back in its last moment
├── OutcomeUnknown     an order may or may not have reached the broker: never sent again by machine
├── JournalError       the journal cannot be read or written
├── EngineUnreachable  no engine answers at its socket
├── SimError           the simulator did not start or went away
├── InvariantBroken    the program contradicts itself: trading halts
└── RefusedByRisk      the gate said no (exit code 3)
"""

from __future__ import annotations


class QmtermError(Exception):
    """Base of all errors with a message meant for the user: what, where, what to do."""

    exit_code = 1


class ConfigError(QmtermError):
    exit_code = 2


class BadSymbol(QmtermError, ValueError):
    exit_code = 2


class BadInput(QmtermError, ValueError):
    exit_code = 2


class DataError(QmtermError):
    pass


class NotEntitled(DataError):
    pass


class RateLimited(DataError):
    pass


class DataSilent(DataError):
    pass


class DataAuthError(DataError):
    pass


class SubscriptionLimit(DataError):
    pass


RATE_LIMITED = "rate_limited"  # a BrokerError's code: the broker asks for fewer calls


class BrokerError(QmtermError):
    """A certain refusal: `code` is the broker's own word, nothing was done."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class BrokerAuthError(BrokerError):
    pass


class Withheld(BrokerError):
    """`code` is our reason: the order was asked once more as it was about to leave, and nothing has left."""


class OutcomeUnknown(QmtermError):
    pass


class JournalError(QmtermError):
    pass


class EngineUnreachable(QmtermError):
    pass


class SimError(QmtermError):
    pass


class InvariantBroken(QmtermError):
    pass


class RefusedByRisk(QmtermError):
    exit_code = 3
