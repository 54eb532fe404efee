"""The status `new` is called `pending`, as it may have reached the exchange already."""

from django.db import migrations, models

STATUSES = [(word, word.title()) for word in ("pending", "open", "filled", "cancelled", "rejected")]


def rename_status(old: str, new: str):
    def rename(apps, schema_editor):
        orders = apps.get_model("orders", "Order").objects.using(schema_editor.connection.alias)
        orders.filter(status=old).update(status=new)

    return rename


class Migration(migrations.Migration):
    dependencies = [("orders", "0002_source_pnl_and_index")]
    operations = [
        migrations.RunPython(rename_status("new", "pending"), rename_status("pending", "new")),
        migrations.AlterField(
            "Order",
            "status",
            models.CharField(choices=STATUSES, default="pending", max_length=12),
        ),
    ]
