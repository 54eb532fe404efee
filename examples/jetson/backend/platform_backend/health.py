"""What works and what does not: only the database takes the platform down."""

from django.conf import settings
from django.db import DatabaseError, connection

from candles.freshness import data_age_seconds, is_fresh

from .exchange_probe import probe
from .migration_state import pending_in


def report(checks: dict[str, dict]) -> dict:
    """The worst of the checks, and all of them."""
    found = {check["status"] for check in checks.values()}
    status = next((word for word in ("down", "degraded") if word in found), "ok")
    return {"release": settings.ENVIRONMENT.release_id, "status": status, "checks": checks}


def readiness() -> dict:
    """Database, migrations, exchange, market data; each with a status."""
    database = _database()
    checks = {"database": database, "exchange": probe.result()}
    if database["status"] == "ok":
        checks["market_data"] = _market_data()
    return report(checks)


def _database() -> dict:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT app, name FROM django_migrations")
            pending = pending_in(set(cursor.fetchall()))
    except DatabaseError as error:
        return {"status": "down", "detail": _explain(error)}
    if pending:
        names = [".".join(node) for node in pending]
        return {"status": "down", "detail": "migrations are pending", "pending": names}
    return {"status": "ok"}


def _explain(error: DatabaseError) -> str:
    try:
        if not connection.introspection.table_names():
            return "the database is empty: run `run.py migrate`"
    except DatabaseError:
        pass
    return str(error)


def _market_data() -> dict:
    age = data_age_seconds()
    if age is None:
        return {"status": "degraded", "detail": "no data yet", "age_seconds": None}
    status = "ok" if is_fresh(age) else "degraded"
    return {"status": status, "age_seconds": round(age, 1)}
