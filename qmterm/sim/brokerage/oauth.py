"""Access tokens: handed out for a refresh token, good for fifteen minutes of **real** time.

The trap: OAuth errors use `error_code`, not the envelope; a plain RFC 6749 body crashes the SDK.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from typing import Any

LIFETIME_S = 900.0


class AccessTokens:
    """Real seconds on purpose: market time may run a hundred times faster than a session's life."""

    def __init__(
        self, secret: str, lifetime_s: float = LIFETIME_S, real_time: Callable[[], float] = time.monotonic
    ) -> None:
        self._secret = secret
        self._real_time = real_time
        self.lifetime_s = lifetime_s
        self._expires: dict[str, float] = {}

    def is_secret(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self._secret.encode())

    def grant(self, body: object, lifetime_s: float | None = None) -> tuple[int, dict[str, Any]]:
        """(HTTP status, answer) for POST /oauth/token."""
        if not isinstance(body, dict) or body.get("grant_type") != "refresh_token":
            return 400, {"error_code": "unsupported_grant_type", "error_description": "Only refresh_token is supported"}
        if not self.is_secret(str(body.get("client_secret"))):
            return 401, {"error_code": "invalid_client", "error_description": "Client authentication failed"}
        if not self.is_secret(str(body.get("refresh_token"))):
            return 400, {"error_code": "invalid_grant", "error_description": "Grant revoked"}
        lifetime = self.lifetime_s if lifetime_s is None else lifetime_s
        now = self._real_time()
        self._expires = {token: end for token, end in self._expires.items() if end > now}
        token = secrets.token_urlsafe(24)
        self._expires[token] = now + lifetime
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": int(lifetime)}

    def valid(self, header: str | None) -> bool:
        """True for `Bearer <token>` with a token that has not expired; the word exactly once."""
        if header is None or not header.startswith("Bearer "):
            return False
        return self._expires.get(header.removeprefix("Bearer "), float("-inf")) > self._real_time()

    def expire_all(self) -> None:
        self._expires.clear()
