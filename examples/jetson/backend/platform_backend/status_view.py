"""What the dashboard's header shows."""

from decimal import Decimal

from django.conf import settings
from django.utils import timezone
from rest_framework.response import Response
from rest_framework.views import APIView

from candles.freshness import data_age_seconds, is_fresh
from candles.models import Candle
from orders.models import Position
from trader import flags

from .health import readiness


def last_price(symbol: str) -> Decimal | None:
    """The newest close of a symbol."""
    rows = Candle.objects.filter(symbol=symbol).order_by("-opened_at")
    return rows.values_list("close", flat=True).first()


def equity() -> Decimal:
    """Start, plus what was earned, plus what open positions would earn now."""
    total = Decimal(str(settings.CONFIG.trader.starting_equity))
    for position in Position.objects.all():
        price = last_price(position.symbol)
        gain = Decimal(0) if price is None else price - position.average_price
        total += position.realized_pnl + position.quantity * gain
    return total.quantize(Decimal("0.01"))


class StatusView(APIView):
    """One answer, so that the page's header is consistent."""

    def get(self, request):
        data_dir = settings.ENVIRONMENT.data_dir
        health = readiness()
        if health["status"] == "down":
            return Response(health, status=503)
        age = data_age_seconds()
        return Response(
            {
                "release": health["release"],
                "environment": settings.ENVIRONMENT.name,
                "time": timezone.now(),
                "status": health["status"],
                "symbols": settings.CONFIG.market.symbols,
                "exchange": health["checks"]["exchange"],
                "freshness_seconds": None if age is None else round(age, 1),
                "fresh": is_fresh(age),
                "kill_switch": flags.is_set(data_dir, flags.KILL_SWITCH),
                "quiesced": flags.is_set(data_dir, flags.QUIESCED),
                "equity": str(equity()),
            }
        )
