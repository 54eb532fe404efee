"""Errors of the API as JSON, without internals."""

import logging

from django.db import OperationalError
from django.http import JsonResponse
from rest_framework.response import Response
from rest_framework.views import exception_handler

log = logging.getLogger("platform.error")


def api_exception(error: Exception, context) -> Response | None:
    """A database that is busy, full or gone is the server's trouble, and passes: 503."""
    if isinstance(error, OperationalError):
        log.error("database: %s", error)
        body = {"detail": "the database cannot serve this now; try again"}
        return Response(body, status=503, headers={"Retry-After": "2"})
    return exception_handler(error, context)


def not_found(request, exception=None) -> JsonResponse:
    """No such address below /api."""
    return JsonResponse({"detail": f"no such address: {request.path}"}, status=404)


def bad_request(request, exception=None) -> JsonResponse:
    """Django refused the request, usually for its Host header."""
    hint = "is this host name listed in server.allowed_hosts of the configuration?"
    return JsonResponse({"detail": f"refused: {hint}"}, status=400)


def server_error(request) -> JsonResponse:
    """A defect; the log has the traceback under the correlation id."""
    return JsonResponse({"detail": "internal error"}, status=500)
