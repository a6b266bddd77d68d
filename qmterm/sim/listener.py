"""The simulator's listening socket: loopback only, and one clear sentence when it cannot be had."""

from __future__ import annotations

import errno
import os
import socket

from qmterm.core.errors import SimError


def listen(port: int) -> socket.socket:
    """A socket that listens on 127.0.0.1; port 0 is any free one."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            why = f"port {port} on 127.0.0.1 is in use: choose another --port, or leave it out for any free one"
            raise SimError(why) from error
        raise SimError(f"cannot listen on 127.0.0.1 port {port}: {error.strerror or error}") from error
    listener.setblocking(False)
    return listener
