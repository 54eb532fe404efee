"""Addresses of the price history."""

from django.urls import path

from .views import CandlesView

urlpatterns = [path("candles", CandlesView.as_view())]
