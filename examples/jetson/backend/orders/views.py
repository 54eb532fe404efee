"""Orders and positions over HTTP."""

from rest_framework import serializers
from rest_framework.permissions import IsAuthenticatedOrReadOnly
from rest_framework.response import Response
from rest_framework.views import APIView

from platform_backend.exchange_client import exchange_from_settings
from trader.flags import TradingPaused
from trader.placing import DifferentOrder, new_client_order_id, place
from trader.strategy import Intent

from .authentication import BearerToken
from .models import Order, Position
from .serializers import NewOrderSerializer, OrderSerializer, PositionSerializer


class OrderQuery(serializers.Serializer):
    """What may be asked for."""

    limit = serializers.IntegerField(min_value=1, max_value=500, default=50)
    status = serializers.ChoiceField(choices=Order.Status.values, required=False)


class OrdersView(APIView):
    """Lists the newest orders; places one for the holder of the token."""

    authentication_classes = [BearerToken]
    permission_classes = [IsAuthenticatedOrReadOnly]

    def get(self, request):
        query = OrderQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        limit = query.validated_data.pop("limit")
        orders = Order.objects.filter(**query.validated_data).order_by("-id")[:limit]
        return Response({"orders": OrderSerializer(orders, many=True).data})

    def post(self, request):
        wanted = NewOrderSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        values = dict(wanted.validated_data)
        client_order_id = values.pop("client_order_id", None) or new_client_order_id()
        exchange = exchange_from_settings()
        try:
            order, created = place(exchange, Intent(**values), Order.Source.MANUAL, client_order_id)
        except (TradingPaused, DifferentOrder) as refusal:
            return Response({"detail": str(refusal)}, status=409)
        return Response(OrderSerializer(order).data, status=201 if created else 200)


class PositionsView(APIView):
    """What is held."""

    def get(self, request):
        positions = Position.objects.order_by("symbol")
        return Response({"positions": PositionSerializer(positions, many=True).data})
