"""Prices as a pure function of symbol and time: the same on every machine and after a restart."""

import hashlib
import math

BASES = {"BTC-USD": 60_000.0, "ETH-USD": 3_000.0, "SOL-USD": 150.0}
WAVES = ((0.008, 3_600), (0.003, 420), (0.001, 61))  # share of the base, period in seconds
NOISE = 0.0004
SAMPLES = 8  # looks at the price during one candle


def price_at(symbol: str, second: float) -> float:
    """The price at a time in seconds since the epoch. KeyError for an unknown symbol."""
    swing = sum(share * math.sin(2 * math.pi * second / period) for share, period in WAVES)
    return BASES[symbol] * (1 + swing + NOISE * _noise(symbol, int(second)))


def candle(symbol: str, opened_at: int, interval: int, now: float) -> dict:
    """The prices of one interval, as far as it has gone."""
    until = min(opened_at + interval, now)
    step = max(until - opened_at, 0.001) / SAMPLES
    prices = [price_at(symbol, opened_at + index * step) for index in range(SAMPLES)]
    prices.append(price_at(symbol, until))
    return {
        "opened_at": opened_at,
        "open": money(prices[0]),
        "high": money(max(prices)),
        "low": money(min(prices)),
        "close": money(prices[-1]),
        "volume": money(2 + _noise(f"{symbol} volume", opened_at)),
    }


def candles(symbol: str, interval: int, limit: int, now: float) -> list[dict]:
    """The latest candles, oldest first."""
    newest = int(now) // interval * interval
    opened = range(newest - (limit - 1) * interval, newest + 1, interval)
    return [candle(symbol, second, interval, now) for second in opened]


def money(amount: float) -> str:
    """Decimal text, to the hundredth."""
    return f"{amount:.2f}"


def _noise(name: str, second: int) -> float:
    """Between -1 and 1."""
    digest = hashlib.sha256(f"{name} {second}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**31 - 1
