"""Which migrations the code brings and which the database has, without changing either."""

from functools import lru_cache
from pathlib import Path

from .reader import reading

Node = tuple[str, str]
TIMEOUT_SECONDS = 5.0


def applied_in(database: Path) -> set[Node]:
    """Migrations that a database file has; none when there is no file or no table yet."""
    if not database.exists():
        return set()
    with reading(database, TIMEOUT_SECONDS) as link:
        known = link.execute("SELECT 1 FROM sqlite_master WHERE name = 'django_migrations'")
        if not known.fetchone():
            return set()
        return set(link.execute("SELECT app, name FROM django_migrations"))


def schema_head(database: Path, apps: tuple[str, ...]) -> dict[str, str | None]:
    """The last migration of each app, or None."""
    applied = applied_in(database)
    return {app: max((name for a, name in applied if a == app), default=None) for app in apps}


@lru_cache(maxsize=1)
def graph():
    """The migrations that this release brings; they do not change while it runs."""
    from django.db.migrations.loader import MigrationLoader

    return MigrationLoader(None).graph


def pending_in(applied: set[Node]) -> list[Node]:
    """Migrations still to apply, in order."""
    nodes: dict[Node, None] = {}
    for leaf in graph().leaf_nodes():
        nodes.update(dict.fromkeys(graph().forwards_plan(leaf)))
    return [node for node in nodes if node not in applied]
