"""Answers to requests: addresses, the API key, JSON. Knows nothing of sockets."""

import json
import time
from hmac import compare_digest
from urllib.parse import parse_qs, unquote, urlsplit

from .orders import OrderBook, Refused
from .prices import BASES, candles, money, price_at

CANDLES_MAX = 1_000
INTERVAL_MAX_SECONDS = 86_400

Answer = tuple[int, dict]


class Api:
    """The exchange's addresses over one order book."""

    def __init__(self, book: OrderBook, api_key: str):
        self.book = book
        self.api_key = api_key

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """Status and JSON body of the answer to a request."""
        url = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        first, _, rest = url.path.strip("/").partition("/")
        try:
            if first == "orders":
                given = headers.get("x-api-key", "")
                if not compare_digest(given.encode(), self.api_key.encode()):
                    return 401, {"detail": "wrong or missing X-API-Key"}
                return self._orders(method, unquote(rest), body, query)
            return self._public(method, url.path, query)
        except Refused as refusal:
            return 400, {"detail": str(refusal)}

    def _public(self, method: str, path: str, query: dict) -> Answer:
        if method != "GET":
            return 405, {"detail": "only GET"}
        if path == "/health":
            return 200, {"status": "ok", "open_orders": len(self.book.resting())}
        if path == "/ticker":
            symbol = _symbol(query)
            now = time.time()
            return 200, {"symbol": symbol, "price": money(price_at(symbol, now)), "time": now}
        if path == "/candles":
            interval = _whole(query, "interval", 60, INTERVAL_MAX_SECONDS)
            limit = _whole(query, "limit", 100, CANDLES_MAX)
            return 200, {"candles": candles(_symbol(query), interval, limit, time.time())}
        return 404, {"detail": "no such address"}

    def _orders(self, method: str, identifier: str, body: bytes, query: dict) -> Answer:
        if not identifier:
            return self._collection(method, body, query)
        if method == "GET":
            order = self.book.orders.get(identifier)
        elif method == "DELETE":
            order = self.book.cancel(identifier)
        else:
            return 405, {"detail": "only GET and DELETE"}
        return (200, order) if order else (404, {"detail": "no such order"})

    def _collection(self, method: str, body: bytes, query: dict) -> Answer:
        if method == "POST":
            order, is_new = self.book.place(_json_object(body))
            return (201 if is_new else 200), order
        if method != "GET":
            return 405, {"detail": "only GET and POST"}
        only_open = query.get("status") == "open"
        return 200, {
            "orders": self.book.resting() if only_open else list(self.book.orders.values())
        }


def _symbol(query: dict) -> str:
    if query.get("symbol") not in BASES:
        raise Refused(f"symbol must be one of {', '.join(BASES)}")
    return query["symbol"]


def _whole(query: dict, name: str, default: int, largest: int) -> int:
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= largest:
        raise Refused(f"{name} must be a whole number from 1 to {largest}")
    return int(text)


def _json_object(body: bytes) -> dict:
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refused("the body must be a JSON object")
    return value
