"""Migrations keep rows, forwards and backwards."""

import json
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

FIRST = [("orders", "0001_initial"), ("candles", "0001_initial")]
LAST = [("orders", "0003_new_is_pending"), ("candles", "0003_quote_volume")]


def migrate(targets):
    executor = MigrationExecutor(connection)
    executor.migrate(targets)
    return MigrationExecutor(connection).loader.project_state(targets).apps


@pytest.fixture
def first_schema(transactional_db):
    yield migrate(FIRST)
    migrate(LAST)


def test_models_and_migrations_agree(db):
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_rows_survive_forwards_and_backwards(first_schema):
    order = {"symbol": "BTC-USD", "side": "buy", "quantity": 1, "limit_price": 2}
    orders = first_schema.get_model("orders", "Order").objects
    orders.create(client_order_id="a", status="new", **order)
    orders.create(client_order_id="b", status="filled", **order)
    candle = {"open": 2, "high": 2, "low": 2, "close": 2, "volume": 3}
    candles = first_schema.get_model("candles", "Candle").objects
    candles.create(symbol="BTC-USD", opened_at=timezone.now(), **candle)

    apps = migrate(LAST)
    rows = apps.get_model("orders", "Order").objects.order_by("client_order_id")
    assert [(o.status, o.source) for o in rows] == [("pending", "strategy"), ("filled", "strategy")]
    kept = apps.get_model("candles", "Candle").objects.get()
    assert (kept.interval_seconds, kept.quote_volume) == (5, Decimal(6))

    apps = migrate(FIRST)
    rows = apps.get_model("orders", "Order").objects.order_by("client_order_id")
    assert [o.status for o in rows] == ["new", "filled"]
    assert apps.get_model("candles", "Candle").objects.get().close == 2


def test_code_of_the_second_schema_can_insert_into_the_third(first_schema):
    second = migrate([("orders", "0002_source_pnl_and_index"), FIRST[1]])
    migrate(LAST)
    second.get_model("orders", "Order").objects.create(
        client_order_id="a", symbol="X", side="buy", quantity=1, limit_price=1
    )


def test_the_commands_tell_and_change_the_schema(rig):
    assert json.loads(rig.run("schema-head").stdout) == {"candles": None, "orders": None}
    assert rig.run("migrate", "--check").returncode == 1
    assert not (rig.data / "db.sqlite3").exists()
    plan = rig.run("migrate", "--plan")
    assert plan.returncode == 0
    assert "pending orders.0003_new_is_pending" in plan.stdout
    assert "applied candles.0001_initial" in rig.run("migrate").stdout
    assert "nothing to do" in rig.run("migrate").stdout
    assert rig.run("migrate", "--check").returncode == 0
    assert json.loads(rig.run("schema-head").stdout) == {
        "candles": "0003_quote_volume",
        "orders": "0003_new_is_pending",
    }
    back = rig.run("migrate", "--to", "orders", "0002_source_pnl_and_index")
    assert back.stdout == "reverted orders.0003_new_is_pending\n"
    assert rig.run("migrate", "--to", "orders", "0009_none").returncode == 2
