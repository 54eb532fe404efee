"""One line of log a request, under an id that the caller may choose."""

import logging
import re
import time

from asgiref.sync import iscoroutinefunction, markcoroutinefunction

from .logs import correlated, new_correlation_id

log = logging.getLogger("platform.request")
HEADER = "X-Correlation-ID"
ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")
POLLED = ("/api/health", "/api/status")  # asked every few seconds: shown at DEBUG only


class CorrelationMiddleware:
    """Takes over the caller's correlation id if it is well-formed, otherwise makes one up."""

    sync_capable = False
    async_capable = True

    def __init__(self, get_response):
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    async def __call__(self, request):
        given = request.headers.get(HEADER, "")
        with correlated(given if ACCEPTED.fullmatch(given) else new_correlation_id()) as identifier:
            started = time.monotonic()
            response = await self.get_response(request)
            response.headers[HEADER] = identifier
            _write_line(request, response.status_code, time.monotonic() - started)
            return response


def _write_line(request, status: int, seconds: float) -> None:
    level = logging.DEBUG if request.path.startswith(POLLED) else logging.INFO
    level = logging.ERROR if status >= 500 and level == logging.INFO else level
    log.log(level, "%s %s %d %.0f ms", request.method, request.path, status, seconds * 1000)
