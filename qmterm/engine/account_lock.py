"""One engine per account on this machine: two would each count their own half of the limits, and a kill reach one.

Another journal is another engine's memory, not another account's: the journal's own lock does not see this.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from qmterm.core.errors import ConfigError
from qmterm.journal.lock import ProcessLock


class AccountLock(ProcessLock):
    def __init__(self, folder: Path, host: str, account: str) -> None:
        """`host` is where the account is: a sandbox, or a simulator, may have the same number."""
        self._account = account
        super().__init__(folder / f"{sha256(f'{host} {account}'.encode()).hexdigest()[:16]}.lock")

    def acquire(self) -> None:
        """ConfigError in one sentence when another engine trades it, or when that cannot be made sure."""
        with suppress(OSError):  # opening the file says what is wrong
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        super().acquire()

    def unwritable(self, error: OSError) -> ConfigError:
        return ConfigError(
            f"The lock of account {self._account} cannot be written: {self.path}: {error.strerror}; "
            "give yourself write permission there"
        )

    def unlockable(self, error: OSError) -> ConfigError:
        return ConfigError(
            f"Account {self._account} cannot be locked at {self.path} ({error.strerror}), so a second engine could "
            "trade it; that folder must be on a local disk"
        )

    def in_use(self, owner: str, *, runs: bool) -> ConfigError:
        where = "" if runs else ", which does not run here: in another container?"
        return ConfigError(
            f"Account {self._account} is traded by another engine (process {owner}{where}); two would each keep their "
            "own half of the limits. Ask it with `qmterm ctl status`, or stop it first"
        )
