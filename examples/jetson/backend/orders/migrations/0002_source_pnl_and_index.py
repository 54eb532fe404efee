"""Who placed an order, and what a position earned; database defaults keep older code inserting."""

from django.db import migrations, models

SOURCES = [(word, word.title()) for word in ("strategy", "manual", "adopted")]


class Migration(migrations.Migration):
    dependencies = [("orders", "0001_initial")]
    operations = [
        migrations.AddField(
            "Order",
            "source",
            models.CharField(
                choices=SOURCES, default="strategy", db_default="strategy", max_length=12
            ),
        ),
        migrations.AddField(
            "Position",
            "realized_pnl",
            models.DecimalField(max_digits=24, decimal_places=8, default=0, db_default=0),
        ),
        migrations.AddIndex("Order", models.Index(fields=["status"], name="order_status")),
    ]
