"""Where each secret comes from, and how one gets into the OS keyring. Values are passed on, never shown.

The trap: a keyring may accept a value and forget it (the null backend), so what was kept is read back.
"""

from __future__ import annotations

import difflib
import os
from enum import StrEnum

from qmterm.commands.places import KEYRING_SERVICE, SECRET_NAMES, secret
from qmterm.core.errors import BadInput, QmtermError


class Origin(StrEnum):
    ENVIRONMENT = "set (environment)"
    KEYRING = "set (keyring)"
    NOWHERE = "not set"


def origin(variable: str) -> Origin:
    """Where a secret comes from; the environment goes first."""
    if os.environ.get(variable, "").strip():
        return Origin.ENVIRONMENT
    name = next(key for key, known in SECRET_NAMES.items() if known == variable)
    return Origin.NOWHERE if secret(name) is None else Origin.KEYRING


def variable_named(text: str) -> str:
    """The variable somebody means: its name, in any case, or the short word for it; BadInput with the nearest."""
    wanted = text.strip()
    if wanted.lower() in SECRET_NAMES:
        return SECRET_NAMES[wanted.lower()]
    known = list(SECRET_NAMES.values())
    if wanted.upper() in known:
        return wanted.upper()
    near = difflib.get_close_matches(wanted.upper(), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    # The text may be the secret itself, given in the wrong place: it is not repeated.
    raise BadInput(f"this is not the name of a secret; {hint} (the value is asked for afterwards)")


def keep(variable: str, value: str) -> None:
    """Into the OS keyring; QmtermError in one sentence when this machine has none."""
    import keyring
    from keyring.errors import KeyringError

    if os.environ.get("QMTERM_NO_KEYRING"):
        raise QmtermError(f"QMTERM_NO_KEYRING is set, so no keyring is used; {_instead(variable)}")
    try:
        keyring.set_password(KEYRING_SERVICE, variable, value)
        kept = keyring.get_password(KEYRING_SERVICE, variable) == value
    except KeyringError as error:
        raise QmtermError(
            f"this machine has no usable keyring ({type(error).__name__}); {_instead(variable)}"
        ) from None
    if not kept:
        raise QmtermError(f"the keyring of this machine does not keep what it is given; {_instead(variable)}")


def _instead(variable: str) -> str:
    return f"put the secret into the environment instead: export {variable}=…"
