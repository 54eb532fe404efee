"""Health for supervisors and people."""

from asgiref.sync import sync_to_async
from django.http import JsonResponse

from .health import readiness, report


async def live(request) -> JsonResponse:
    """The process answers; nothing else is asked."""
    return _reply(report({}))


async def ready(request) -> JsonResponse:
    """503 when requests cannot be served: a release gate and a load balancer act on the status."""
    body = await sync_to_async(readiness)()
    return _reply(body, 503 if body["status"] == "down" else 200)


async def summary(request) -> JsonResponse:
    """The same report for people and dashboards: always 200, since it could be given."""
    return _reply(await sync_to_async(readiness)())


def _reply(body: dict, status: int = 200) -> JsonResponse:
    response = JsonResponse(body, status=status)
    response.headers["Cache-Control"] = "no-store"
    return response
