"""Price history as the exchange reports it."""

from django.db import models


class Candle(models.Model):
    """Prices of one symbol during one interval."""

    symbol = models.CharField(max_length=20)
    interval_seconds = models.PositiveIntegerField(default=5, db_default=5)
    opened_at = models.DateTimeField()
    open = models.DecimalField(max_digits=24, decimal_places=8)
    high = models.DecimalField(max_digits=24, decimal_places=8)
    low = models.DecimalField(max_digits=24, decimal_places=8)
    close = models.DecimalField(max_digits=24, decimal_places=8)
    volume = models.DecimalField(max_digits=24, decimal_places=8)
    quote_volume = models.DecimalField(max_digits=24, decimal_places=8, null=True)
    fetched_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["symbol", "interval_seconds", "opened_at"], name="one_candle_an_interval"
            )
        ]
        indexes = [models.Index(fields=["fetched_at"], name="candle_fetched_at")]

    def __str__(self) -> str:
        return f"{self.symbol} {self.opened_at:%Y-%m-%d %H:%M:%S} {self.close}"
