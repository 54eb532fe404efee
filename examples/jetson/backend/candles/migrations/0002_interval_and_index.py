"""Candles name their interval; the default in the database lets older code go on inserting."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("candles", "0001_initial")]
    operations = [
        migrations.AddField(
            "Candle", "interval_seconds", models.PositiveIntegerField(default=5, db_default=5)
        ),
        migrations.RemoveConstraint("Candle", "one_candle_a_time"),
        migrations.AddConstraint(
            "Candle",
            models.UniqueConstraint(
                fields=["symbol", "interval_seconds", "opened_at"], name="one_candle_an_interval"
            ),
        ),
        migrations.AddIndex(
            "Candle", models.Index(fields=["fetched_at"], name="candle_fetched_at")
        ),
    ]
