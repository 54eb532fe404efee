"""Candles of a single, implied interval."""

from django.db import migrations, models

KEY = {"auto_created": True, "primary_key": True, "serialize": False, "verbose_name": "ID"}


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Candle",
            fields=[
                ("id", models.BigAutoField(**KEY)),
                ("symbol", models.CharField(max_length=20)),
                ("opened_at", models.DateTimeField()),
                ("open", models.DecimalField(max_digits=24, decimal_places=8)),
                ("high", models.DecimalField(max_digits=24, decimal_places=8)),
                ("low", models.DecimalField(max_digits=24, decimal_places=8)),
                ("close", models.DecimalField(max_digits=24, decimal_places=8)),
                ("volume", models.DecimalField(max_digits=24, decimal_places=8)),
                ("fetched_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=["symbol", "opened_at"], name="one_candle_a_time"
                    )
                ]
            },
        ),
    ]
