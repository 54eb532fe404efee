"""Orders and positions as JSON; amounts are decimal text."""

from django.conf import settings
from rest_framework import serializers

from .models import Order, Position


class OrderSerializer(serializers.ModelSerializer):
    """An order as shown."""

    class Meta:
        model = Order
        exclude = ["updated_at"]


class PositionSerializer(serializers.ModelSerializer):
    """A position as shown."""

    class Meta:
        model = Position
        fields = ["symbol", "quantity", "average_price", "realized_pnl", "updated_at"]


class NewOrderSerializer(serializers.Serializer):
    """An order as asked for."""

    client_order_id = serializers.RegexField(r"^[A-Za-z0-9_-]{1,64}$", required=False)
    symbol = serializers.CharField(max_length=20)
    side = serializers.ChoiceField(choices=Order.Side.values)
    quantity = serializers.DecimalField(max_digits=24, decimal_places=8, min_value=0)
    limit_price = serializers.DecimalField(max_digits=24, decimal_places=8, min_value=0)

    def validate_symbol(self, symbol: str) -> str:
        known = settings.CONFIG.market.symbols
        if symbol not in known:
            raise serializers.ValidationError(f"not traded here; known: {', '.join(known)}")
        return symbol

    def validate(self, values: dict) -> dict:
        for name in ("quantity", "limit_price"):
            if values[name] <= 0:
                raise serializers.ValidationError({name: "must be more than 0"})
        return values
