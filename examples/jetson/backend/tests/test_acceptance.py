"""An older release tells whether it can run on the schema that a newer one left."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from django.db import migrations, models

from platform_backend.older_code import judge

from .rig import RUN, Rig

ADDS = """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("orders", "0003_new_is_pending")]
    operations = [migrations.AddField("Order", "note", models.TextField(null=True))]
"""
TAKES = ADDS.replace(
    'AddField("Order", "note", models.TextField(null=True))', 'RemoveField("Order", "source")'
)


def release(folder: Path, migration: str | None, name: str = "0004_next") -> Path:
    """The platform's code in a folder of its own, with one migration more."""
    code = folder / name
    ignored = shutil.ignore_patterns(".venv", "node_modules", "__pycache__", "data", "frontend")
    shutil.copytree(RUN.parent, code, ignore=ignored)
    if migration is not None:
        (code / "backend/orders/migrations" / f"{name}.py").write_text(migration)
    return code / "run.py"


ORDER = ("--symbol", "BTC-USD", "--side", "buy", "--quantity", "1", "--limit", "1")


def verdict(rig: Rig, run: Path = RUN) -> tuple[int, dict]:
    """Exit status, and what it says on its last line."""
    told = rig.run("schema-accepts", entry=run)
    return told.returncode, json.loads(told.stdout.splitlines()[-1])


def test_a_database_of_its_own_or_none_is_accepted(rig):
    status, before = verdict(rig)
    assert (status, before["accepts"], before["unknown"]) == (0, True, [])
    assert "orders.0003_new_is_pending" in before["missing"]
    assert not (rig.data / "db.sqlite3").exists()
    assert rig.run("migrate").returncode == 0
    status, after = verdict(rig)
    assert (status, after) == (
        0,
        {
            "accepts": True,
            "head": {"candles": "0003_quote_volume", "orders": "0003_new_is_pending"},
            "unknown": [],
            "against": [],
            "missing": [],
            "detail": "",
        },
    )


def test_what_a_newer_release_only_added_is_accepted(rig, tmp_path):
    newer = release(tmp_path, ADDS)
    assert "applied orders.0004_next" in rig.run("migrate", entry=newer).stdout
    status, told = verdict(rig)
    assert (status, told["accepts"], told["unknown"]) == (0, True, ["orders.0004_next"])
    # It says the truth: the older code's own migrate and its orders still work.
    assert rig.run("migrate").returncode == 0
    rig.exchange()
    assert rig.run("place-order", *ORDER).returncode == 0
    assert verdict(rig, newer)[1]["accepts"] is True


def test_what_a_newer_release_took_away_is_not(rig, tmp_path):
    newer = release(tmp_path, TAKES)
    assert rig.run("migrate", entry=newer).returncode == 0
    status, told = verdict(rig)
    assert (status, told["accepts"], told["against"]) == (1, False, ["orders.0004_next"])
    assert told["detail"] == "orders.0004_next is applied (Remove field source from Order)"
    assert told["head"]["orders"] == "0004_next"
    rig.exchange()  # it says the truth: the older code cannot place an order any more
    assert "no such column: orders_order.source" in rig.run("place-order", *ORDER).stderr
    # Without the note nothing is known of it, and what is not known is not trusted.
    with sqlite3.connect(rig.data / "db.sqlite3") as link:
        link.execute("DELETE FROM migration_notes WHERE name = '0004_next'")
    link.close()
    assert "nothing says whether older code can run on it" in verdict(rig)[1]["detail"]


def test_a_note_is_there_before_its_migration(rig, tmp_path):
    broken = TAKES.replace("operations = [", "operations = [migrations.RunSQL('no such thing'), ")
    assert rig.run("migrate", entry=release(tmp_path, broken)).returncode != 0
    with sqlite3.connect(rig.data / "db.sqlite3") as link:
        noted = dict(link.execute("SELECT name, older_code_runs FROM migration_notes"))
        applied = {name for (name,) in link.execute("SELECT name FROM django_migrations")}
    link.close()
    assert noted["0004_next"] == 0
    assert "0004_next" not in applied
    assert verdict(rig)[1]["accepts"] is True


def amount(**options):
    return models.IntegerField(**options)


@pytest.mark.parametrize(
    ("operation", "runs"),
    [
        (migrations.CreateModel("New", [("id", amount(primary_key=True))]), True),
        (migrations.AddIndex("Order", models.Index(fields=["side"], name="i")), True),
        (migrations.AddField("Order", "x", amount(null=True)), True),
        (migrations.AddField("Order", "x", amount(db_default=0)), True),
        (migrations.AddField("Order", "x", amount(default=0)), False),
        (migrations.RemoveField("Order", "side"), False),
        (migrations.DeleteModel("Order"), False),
        (migrations.RenameField("Order", "side", "way"), False),
        (migrations.RenameModel("Order", "Wish"), False),
        (migrations.AlterField("Order", "side", amount()), False),
        (migrations.AlterUniqueTogether("Order", {("side", "symbol")}), False),
        (migrations.RemoveConstraint("Candle", "one"), False),
        (migrations.RunPython(migrations.RunPython.noop), False),
        (migrations.RunSQL("SELECT 1"), False),
        (migrations.SeparateDatabaseAndState(state_operations=[]), True),
        (migrations.SeparateDatabaseAndState([migrations.DeleteModel("Order")]), False),
    ],
)
def test_what_older_code_can_live_with(operation, runs):
    migration = migrations.Migration("next", "orders")
    migration.operations = [operation]
    assert judge(migration) == (runs, "" if runs else operation.describe())
    migration.older_code_runs = not runs
    assert judge(migration)[0] is not runs
