"""The built dashboard, served from the release tree."""

import mimetypes
from pathlib import Path

from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.http import HttpResponse, JsonResponse
from django.utils._os import safe_join
from django.views.decorators.http import require_safe

POLICY = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'"
FOREVER = "public, max-age=31536000, immutable"
mimetypes.add_type("text/javascript", ".js")  # some systems' tables say otherwise


@require_safe
def serve(request, path: str) -> HttpResponse:
    """A built file; any other address gets the page, whose script decides."""
    if not (settings.FRONTEND_DIST / "index.html").is_file():
        hint = "the dashboard is not built: run `npm ci && npm run build` in frontend/"
        return JsonResponse({"detail": hint}, status=404)
    file = _find(path)
    if file:
        return _reply(file, FOREVER if path.startswith("assets/") else "no-cache")
    if path.startswith("assets/") or ".." in path.split("/"):
        return JsonResponse({"detail": "no such file"}, status=404)
    return _reply(settings.FRONTEND_DIST / "index.html", "no-cache")


def _find(path: str) -> Path | None:
    try:
        file = Path(safe_join(settings.FRONTEND_DIST, path))
        return file if file.is_file() else None
    except (SuspiciousFileOperation, ValueError):  # leads outside, or holds a NUL
        return None


def _reply(file: Path, caching: str) -> HttpResponse:
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    kind = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
    response = HttpResponse(file.read_bytes(), content_type=kind)
    response.headers["Cache-Control"] = caching
    response.headers["Content-Security-Policy"] = POLICY
    return response
