"""The exchange's HTTP interface, over urllib: one function a request, with a time limit."""

import http.client
import json
import urllib.error
import urllib.request
from urllib.parse import quote, urlencode

from .logs import correlation_id

ANSWER_MAX_BYTES = 4 * 1024 * 1024
BROKEN = (OSError, http.client.HTTPException, ValueError)  # down or slow, cut off, not JSON
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never by a proxy variable


class ExchangeUnavailable(Exception):
    """No usable answer: down, too slow or broken. Whether it acted on the request is unknown."""


class ExchangeRefused(Exception):
    """The exchange understood the request and said no."""

    def __init__(self, status: int, detail: str):
        super().__init__(f"{detail} (status {status})")
        self.status = status


class ExchangeClient:
    """Talks to one exchange; holds no connection and no state."""

    def __init__(self, base_url: str, api_key: str, timeout_seconds: float):
        self.base_url = base_url
        self.api_key = api_key
        self.timeout_seconds = timeout_seconds

    def health(self) -> dict:
        """Raises unless the exchange is up."""
        return self._ask("GET", "/health")

    def ticker(self, symbol: str) -> dict:
        """The last price of a symbol."""
        return self._ask("GET", f"/ticker?{urlencode({'symbol': symbol})}")

    def candles(self, symbol: str, interval: int, limit: int) -> list[dict]:
        """The latest candles, oldest first; the last one is still growing. Interval in seconds."""
        query = urlencode({"symbol": symbol, "interval": interval, "limit": limit})
        return self._ask("GET", f"/candles?{query}")["candles"]

    def place(self, order: dict) -> dict:
        """Places an order, or returns the earlier one with the same client order id."""
        return self._ask("POST", "/orders", order)

    def order(self, client_order_id: str) -> dict | None:
        """One order, or None if the exchange never saw it."""
        try:
            return self._ask("GET", f"/orders/{quote(client_order_id, safe='')}")
        except ExchangeRefused as refusal:
            if refusal.status == 404:
                return None
            raise

    def open_orders(self) -> list[dict]:
        """All orders that still rest at the exchange."""
        return self._ask("GET", "/orders?status=open")["orders"]

    def cancel(self, client_order_id: str) -> dict:
        """Cancels an order; one that is done already is returned as it is."""
        return self._ask("DELETE", f"/orders/{quote(client_order_id, safe='')}")

    def _ask(self, method: str, path: str, body: dict | None = None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"X-API-Key": self.api_key, "X-Correlation-ID": correlation_id.get()}
        request = urllib.request.Request(
            self.base_url + path, data=data, method=method, headers=headers
        )
        try:
            with DIRECT.open(request, timeout=self.timeout_seconds) as answer:
                return json.loads(answer.read(ANSWER_MAX_BYTES))
        except urllib.error.HTTPError as error:
            raise _translate(error) from None
        except BROKEN as error:
            reason = getattr(error, "reason", error)
            raise ExchangeUnavailable(f"{method} {path.split('?')[0]}: {reason}") from None


def _translate(error: urllib.error.HTTPError) -> Exception:
    with error:
        if error.code >= 500:
            return ExchangeUnavailable(f"the exchange answered {error.code}")
        try:
            detail = str(json.loads(error.read(65_536)).get("detail", "refused"))
        except (OSError, ValueError, AttributeError):
            detail = "refused"
    return ExchangeRefused(error.code, detail)


def exchange_from_settings() -> ExchangeClient:
    """The client for the configured exchange."""
    from django.conf import settings  # only processes that run Django come here

    return ExchangeClient(
        settings.ENVIRONMENT.exchange_url,
        settings.SECRETS["EXCHANGE_API_KEY"],
        settings.CONFIG.exchange.timeout_seconds,
    )
