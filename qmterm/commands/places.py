"""Where the user's own files live, which configuration applies, and where secrets come from."""

from __future__ import annotations

import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qmterm.core.errors import ConfigError, QmtermError

if TYPE_CHECKING:
    from qmterm.core.settings.model import Settings

SECRET_NAMES = {
    "polygon": "QMTERM_POLYGON_KEY",
    "tt_secret": "QMTERM_TT_SECRET",
    "tt_refresh": "QMTERM_TT_REFRESH",
    "tt_account": "QMTERM_TT_ACCOUNT",
    "discord": "QMTERM_DISCORD_WEBHOOK",
}
KEYRING_SERVICE = "qmterm"


@dataclass(frozen=True, slots=True)
class Places:
    config: Path
    data: Path
    cache: Path
    runtime: Path

    @property
    def config_file(self) -> Path:
        return self.config / "config.toml"

    @property
    def themes(self) -> Path:
        return self.config / "themes"

    @property
    def history(self) -> Path:
        return self.cache / "history"

    @property
    def accounts(self) -> Path:
        return self.data / "accounts"

    def journal(self, broker: str) -> Path:
        return self.data / f"journal-{broker}.sqlite"

    @property
    def sim_runs(self) -> Path:
        return self.data / "sim-runs"

    @property
    def socket(self) -> Path:
        return self.runtime / "engine.sock"


def places() -> Places:
    """The platform's folders, or everything below QMTERM_HOME when that is set."""
    home = os.environ.get("QMTERM_HOME")
    if home:
        root = Path(home)
        return Places(root / "config", root / "data", root / "cache", root / "run")
    import platformdirs

    directories = platformdirs.PlatformDirs("qmterm", appauthor=False)
    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR (su, cron, a container) a folder below the temporary one serves as well.
        warnings.simplefilter("ignore", UserWarning)
        runtime = Path(directories.user_runtime_dir)
    return Places(
        Path(directories.user_config_dir), Path(directories.user_data_dir), Path(directories.user_cache_dir), runtime
    )


def real_accounts(folders: Places) -> Path:
    """Where engines find each other's lock of a real account: below the user's own home, whatever QMTERM_HOME says.

    A user without one that can be written (a service) has it with the data.
    """
    try:
        import pwd

        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    except (ImportError, KeyError):  # no such table here, or nobody of this number in it
        return folders.accounts
    writable = os.access(home, os.W_OK | os.X_OK)
    return home / ".local" / "share" / "qmterm" / "accounts" if writable else folders.accounts


def made(folders: Places) -> Places:
    """The folders a run writes to, made where they are missing; QmtermError says which one cannot be written."""
    for folder in (folders.data, folders.cache, folders.runtime):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise QmtermError(
                f"{folder} cannot be written ({error.strerror or error}); give yourself write permission there, "
                "or set QMTERM_HOME to a folder of your own"
            ) from error
    return folders


def shipped(name: str) -> Path:
    """A shipped default (`config.toml`, `themes`): inside the installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parent.parent
    for candidate in (package / "defaults" / name, package.parent / name):
        if candidate.exists():
            return candidate
    raise ConfigError(f"the shipped {name} is missing from this installation; install qmterm again")


def load_settings(file: Path | None = None) -> tuple[Settings, Path | None]:
    """Settings from the named file, else the user's own, else the defaults (path None)."""
    from qmterm.core.settings.model import Settings, parse_settings

    path = file or places().config_file
    if file is None and not path.exists():
        return Settings(), None
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from error
    return parse_settings(text, str(path)), path


def secret(name: str) -> str | None:
    """A secret from the environment, else the OS keyring; None when it is in neither."""
    variable = SECRET_NAMES[name]
    value = os.environ.get(variable, "").strip()
    if value:
        return value
    if os.environ.get("QMTERM_NO_KEYRING"):
        return None
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(KEYRING_SERVICE, variable)
    except KeyringError:  # no keyring on this machine: the environment is the only place
        return None


def require_secret(name: str, purpose: str, otherwise: str = "") -> str:
    """The secret, or ConfigError that says how to set it; `otherwise` ends the sentence with a way around it."""
    value = secret(name)
    if value is None:
        variable = SECRET_NAMES[name]
        raise ConfigError(
            f"{variable} is not set, and {purpose} needs it: export {variable}=… "
            f"or run `qmterm config secret set {variable}`{otherwise}"
        )
    return value
