"""Turnover in the quote currency, worked out for the candles that are there already."""

from django.db import migrations, models
from django.db.models import F


def fill(apps, schema_editor):
    candles = apps.get_model("candles", "Candle").objects.using(schema_editor.connection.alias)
    candles.filter(quote_volume=None).update(quote_volume=F("close") * F("volume"))


class Migration(migrations.Migration):
    dependencies = [("candles", "0002_interval_and_index")]
    older_code_runs = True  # it neither reads nor writes the new column
    operations = [
        migrations.AddField(
            "Candle",
            "quote_volume",
            models.DecimalField(max_digits=24, decimal_places=8, null=True),
        ),
        # Backwards the column goes, so there is nothing to put back.
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
