"""Price history for charts."""

from django.conf import settings
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from .models import Candle

LIMIT_MAX = 1000


class CandleQuery(serializers.Serializer):
    """What may be asked for."""

    symbol = serializers.CharField(max_length=20, required=False)
    limit = serializers.IntegerField(min_value=1, max_value=LIMIT_MAX, default=120)


class CandleSerializer(serializers.ModelSerializer):
    """A candle with prices as decimal text."""

    class Meta:
        model = Candle
        fields = ["opened_at", "open", "high", "low", "close", "volume"]


class CandlesView(APIView):
    """The latest candles of a symbol, oldest first."""

    def get(self, request):
        query = CandleQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        market = settings.CONFIG.market
        symbol = query.validated_data.get("symbol", market.symbols[0])
        rows = Candle.objects.filter(symbol=symbol, interval_seconds=market.candle_seconds)
        latest = list(rows.order_by("-opened_at")[: query.validated_data["limit"]])
        candles = CandleSerializer(reversed(latest), many=True).data
        return Response(
            {"symbol": symbol, "interval_seconds": market.candle_seconds, "candles": candles}
        )
