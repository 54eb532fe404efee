"""Whether this release's code can run on the schema that the database has now."""

from pathlib import Path

from .migration_state import applied_in, graph, pending_in, schema_head
from .older_code import notes_in

NO_NOTE = "nothing says whether older code can run on it"


def acceptance(database: Path, apps: tuple[str, ...]) -> dict:
    """The verdict. What is merely missing is no objection: a deploy applies it, a rollback not."""
    applied, notes = applied_in(database), notes_in(database)
    unknown = sorted(applied - set(graph().nodes))
    against = {
        f"{app}.{name}": why
        for app, name in unknown
        for runs, why in [notes.get((app, name), (False, NO_NOTE))]
        if not runs
    }
    return {
        "accepts": not against,
        "head": schema_head(database, apps),
        "unknown": [f"{app}.{name}" for app, name in unknown],
        "against": list(against),
        "missing": [f"{app}.{name}" for app, name in pending_in(applied)],
        "detail": "; ".join(f"{name} is applied ({why})" for name, why in against.items()),
    }
