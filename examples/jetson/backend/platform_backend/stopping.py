"""Turns SIGTERM and SIGINT into a request that a loop notices at once."""

import os
import select
import signal


class StopSignal:
    """Waits through a pipe, as a lock taken by a signal handler could wait for itself."""

    def __init__(self):
        self.requested = False
        self._reader, self._writer = os.pipe()

    def listen(self) -> "StopSignal":
        """Takes the signals over."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)
        return self

    def wait(self, seconds: float) -> bool:
        """Sleeps, but not past a stop request; tells whether there is one."""
        if not self.requested:
            select.select([self._reader], [], [], seconds)
        return self.requested

    def _handle(self, number, frame) -> None:
        if not self.requested:
            self.requested = True
            os.write(self._writer, b"x")
