"""Addresses: the API, then the dashboard for everything else."""

from django.urls import include, path, re_path

from . import errors, frontend, health_views
from .status_view import StatusView

api = [
    path("health", health_views.summary),
    path("health/live", health_views.live),
    path("health/ready", health_views.ready),
    path("status", StatusView.as_view()),
    path("", include("candles.urls")),
    path("", include("orders.urls")),
]
urlpatterns = [
    path("api/", include(api)),
    re_path(r"^api(/.*)?$", errors.not_found),
    re_path(r"^(?P<path>.*)$", frontend.serve),
]
handler400 = errors.bad_request
handler404 = errors.not_found
handler500 = errors.server_error
