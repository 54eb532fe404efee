"""Degraded is not down."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from candles.models import Candle
from platform_backend import exchange_probe, migration_state

ZERO = dict.fromkeys(("open", "high", "low", "close", "volume"), 1)


@pytest.fixture(autouse=True)
def fresh_probe(monkeypatch):
    monkeypatch.setattr("platform_backend.health.probe", exchange_probe.ExchangeProbe())


def test_live_asks_nothing(client):
    assert client.get("/api/health/live").json() == {"release": "dev", "status": "ok", "checks": {}}


def test_exchange_down_and_no_data_is_degraded_and_ready(client, db):
    answer = client.get("/api/health/ready")
    checks = answer.json()["checks"]
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert checks["database"] == {"status": "ok"}
    assert checks["exchange"]["status"] == "degraded"
    assert checks["market_data"]["age_seconds"] is None


@pytest.mark.parametrize(("age", "status"), [(59, "ok"), (61, "degraded")])
def test_old_data_is_degraded(client, db, age, status):
    candle = Candle.objects.create(symbol="BTC-USD", opened_at=timezone.now(), **ZERO)
    fetched_at = timezone.now() - timedelta(seconds=age)
    Candle.objects.filter(pk=candle.pk).update(fetched_at=fetched_at)
    assert client.get("/api/health/ready").json()["checks"]["market_data"]["status"] == status


def test_a_pending_migration_is_down(client, db, monkeypatch):
    monkeypatch.setattr(
        "platform_backend.health.pending_in",
        lambda applied: migration_state.pending_in(applied - {("orders", "0003_new_is_pending")}),
    )
    answer = client.get("/api/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "down")
    assert answer.json()["checks"]["database"]["pending"] == ["orders.0003_new_is_pending"]
    assert client.get("/api/health").status_code == 200
    assert client.get("/api/status").status_code == 503


def test_an_empty_database_is_down(client, transactional_db):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_migrations RENAME TO hidden")
    try:
        assert client.get("/api/health/ready").status_code == 503
        assert client.get("/api/health/live").status_code == 200
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE hidden RENAME TO django_migrations")
