"""Addresses of orders and positions."""

from django.urls import path

from .views import OrdersView, PositionsView

urlpatterns = [
    path("orders", OrdersView.as_view()),
    path("positions", PositionsView.as_view()),
]
