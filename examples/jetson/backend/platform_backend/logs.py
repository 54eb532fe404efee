"""Logs: one JSON object a line, with the correlation id, without secrets."""

import json
import logging
import sys
import uuid
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timezone

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="-")
NOISY = ("asyncio", "daphne", "twisted", "django.request")
SHORTEST_SECRET = 4  # hiding shorter ones would blot out ordinary words


class RedactSecrets(logging.Filter):
    """Replaces secret values in messages and tracebacks, whoever logged them."""

    def __init__(self, values):
        super().__init__()
        self.values = sorted(
            (v for v in values if len(v) >= SHORTEST_SECRET), key=len, reverse=True
        )

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self.redact(record.getMessage()), None
        if record.exc_info and record.exc_info[0]:
            record.exc_text = self.redact(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        return True

    def redact(self, text: str) -> str:
        for value in self.values:
            text = text.replace(value, "***")
        return text


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def __init__(self, release: str):
        super().__init__()
        self.release = release

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "correlation_id": correlation_id.get(),
            "release": self.release,
        }
        if record.exc_text:
            line["traceback"] = record.exc_text
        return json.dumps(line)


def configure_logs(level: str, release: str, secrets, stream=sys.stdout) -> None:
    """Sends everything that is logged, and warnings, to one stream."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines(release))
    handler.addFilter(RedactSecrets(secrets))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)


def new_correlation_id() -> str:
    """A fresh id for a request or a cycle of a loop."""
    return uuid.uuid4().hex


@contextmanager
def correlated(identifier: str):
    """Marks everything logged inside with the id."""
    token = correlation_id.set(identifier)
    try:
        yield identifier
    finally:
        correlation_id.reset(token)
