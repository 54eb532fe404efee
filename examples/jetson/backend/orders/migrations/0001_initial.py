"""Orders and positions."""

from django.db import migrations, models

SIDES = [("buy", "Buy"), ("sell", "Sell")]
STATUSES = [(word, word.title()) for word in ("new", "open", "filled", "cancelled", "rejected")]
KEY = {"auto_created": True, "primary_key": True, "serialize": False, "verbose_name": "ID"}


def amount(**options):
    return models.DecimalField(max_digits=24, decimal_places=8, **options)


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Order",
            fields=[
                ("id", models.BigAutoField(**KEY)),
                ("client_order_id", models.CharField(max_length=64, unique=True)),
                ("exchange_order_id", models.CharField(blank=True, default="", max_length=64)),
                ("symbol", models.CharField(max_length=20)),
                ("side", models.CharField(choices=SIDES, max_length=4)),
                ("quantity", amount()),
                ("limit_price", amount()),
                ("filled_quantity", amount(default=0)),
                ("status", models.CharField(choices=STATUSES, default="new", max_length=12)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
        ),
        migrations.CreateModel(
            name="Position",
            fields=[
                ("id", models.BigAutoField(**KEY)),
                ("symbol", models.CharField(max_length=20, unique=True)),
                ("quantity", amount(default=0)),
                ("average_price", amount(default=0)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
        ),
    ]
