"""The bell: how somebody in line is told that it may be his turn, from another process.

A datagram to a UDP port of 127.0.0.1, on any platform, across users, with nothing left behind.
It says nothing: who hears it looks at the ledger. Lost, forged or unheard, it costs time only.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import suppress

from gpuledger.replay.piece import WaitingPiece

LOOPBACK = "127.0.0.1"
PORTS = range(1, 1 << 16)


class Bell:
    """The ear of one who waits; `port` is None where no socket could be had."""

    def __init__(self) -> None:
        self.port: int | None = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with suppress(OSError):
            self._socket.bind((LOOPBACK, 0))
            self.port = self._socket.getsockname()[1]

    def heard(self, within_s: float) -> bool:
        """Wait for the bell, `within_s` seconds at most; whether it rang."""
        self._socket.settimeout(max(within_s, 0.001))
        try:
            self._socket.recv(64)
        except TimeoutError:
            return False
        except OSError:  # an answer to a datagram of ours that nobody took
            return False
        return True

    def close(self) -> None:
        """Hear nothing more."""
        self._socket.close()


def ring(pieces: Iterable[WaitingPiece], host: str | None) -> None:
    """Tell those who wait on this host, as far as they can be told. Raises nothing."""
    ports = [
        piece.port
        for piece in pieces
        if piece.port in PORTS and (piece.waiter is None or piece.waiter.host == host)
    ]
    if not ports:
        return
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for port in ports:
            with suppress(OSError):
                sender.sendto(b"gpuledger", (LOOPBACK, port))
