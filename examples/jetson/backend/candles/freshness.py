"""How old the newest market data is."""

from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from .models import Candle


def data_age_seconds() -> float | None:
    """Seconds since any candle was last fetched; None when there never was one."""
    newest = Candle.objects.aggregate(newest=Max("fetched_at"))["newest"]
    return None if newest is None else max(0.0, (timezone.now() - newest).total_seconds())


def is_fresh(age_seconds: float | None) -> bool:
    """Whether data of that age may be traded on."""
    return age_seconds is not None and age_seconds <= settings.CONFIG.market.max_age_seconds
