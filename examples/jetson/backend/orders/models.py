"""Orders and the positions that they lead to."""

from django.db import models

DONE = ("filled", "cancelled", "rejected")


class Order(models.Model):
    """An order, written down before the exchange hears of it."""

    class Side(models.TextChoices):
        BUY = "buy"
        SELL = "sell"

    class Status(models.TextChoices):
        PENDING = "pending"  # intended; whether the exchange has it is not known yet
        OPEN = "open"
        FILLED = "filled"
        CANCELLED = "cancelled"
        REJECTED = "rejected"

    class Source(models.TextChoices):
        STRATEGY = "strategy"
        MANUAL = "manual"
        ADOPTED = "adopted"  # found at the exchange, unknown here

    client_order_id = models.CharField(max_length=64, unique=True)
    exchange_order_id = models.CharField(max_length=64, blank=True, default="")
    symbol = models.CharField(max_length=20)
    side = models.CharField(max_length=4, choices=Side)
    quantity = models.DecimalField(max_digits=24, decimal_places=8)
    limit_price = models.DecimalField(max_digits=24, decimal_places=8)
    filled_quantity = models.DecimalField(max_digits=24, decimal_places=8, default=0)
    status = models.CharField(max_length=12, choices=Status, default=Status.PENDING)
    source = models.CharField(
        max_length=12, choices=Source, default="strategy", db_default="strategy"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [models.Index(fields=["status"], name="order_status")]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} {self.symbol} at {self.limit_price} ({self.status})"


class Position(models.Model):
    """What is held of a symbol, and what closing parts of it earned."""

    symbol = models.CharField(max_length=20, unique=True)
    quantity = models.DecimalField(max_digits=24, decimal_places=8, default=0)
    average_price = models.DecimalField(max_digits=24, decimal_places=8, default=0)
    realized_pnl = models.DecimalField(max_digits=24, decimal_places=8, default=0, db_default=0)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.quantity} {self.symbol} at {self.average_price}"
