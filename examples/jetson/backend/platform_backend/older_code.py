"""Whether code from before a migration can go on beside it.

Only the release that brings a migration knows what it does, and only an older release asks. So
`migrate` notes its judgement in the database, before it applies anything: an older release finds
the note beside a migration that it has never heard of. A migration without a note is not trusted.

A migration may say so itself, where its operations cannot: `older_code_runs = True` (or False).
"""

from pathlib import Path

from .reader import reading

Node = tuple[str, str]
TIMEOUT_SECONDS = 5.0
TABLE = """
    CREATE TABLE IF NOT EXISTS migration_notes (
        app TEXT NOT NULL,
        name TEXT NOT NULL,
        older_code_runs INTEGER NOT NULL,
        why TEXT NOT NULL,
        PRIMARY KEY (app, name)
    )
"""


def note_all(connection, graph) -> None:
    """Notes the judgement of every migration that this release brings; others' notes stay."""
    rows = [(*node, *judge(migration)) for node, migration in sorted(graph.nodes.items())]
    with connection.cursor() as cursor:
        cursor.execute(TABLE)
        cursor.executemany("INSERT OR REPLACE INTO migration_notes VALUES (%s, %s, %s, %s)", rows)


def notes_in(database: Path) -> dict[Node, tuple[bool, str]]:
    """What was noted of each migration: whether older code runs, and otherwise why not."""
    if not database.exists():
        return {}
    with reading(database, TIMEOUT_SECONDS) as link:
        there = link.execute("SELECT 1 FROM sqlite_master WHERE name = 'migration_notes'")
        if not there.fetchone():
            return {}
        rows = link.execute("SELECT * FROM migration_notes")
        return {(app, name): (bool(runs), why) for app, name, runs, why in rows}


def judge(migration) -> tuple[bool, str]:
    """Whether older code runs, and otherwise which operations stand against it."""
    declared = getattr(migration, "older_code_runs", None)
    against = "; ".join(op.describe() for op in migration.operations if not _only_adds(op))
    if declared is None:
        return not against, against
    return declared, "" if declared else against or "the migration says so"


def _only_adds(operation) -> bool:
    """Whether it takes nothing away and demands nothing. What cannot be seen here, does."""
    from django.db import migrations
    from django.db.models import NOT_PROVIDED

    if isinstance(operation, migrations.SeparateDatabaseAndState):
        return all(_only_adds(one) for one in operation.database_operations)
    if isinstance(operation, migrations.AddField):
        field = operation.field  # without either, an older INSERT would leave it out in vain
        return field.many_to_many or field.null or field.db_default is not NOT_PROVIDED
    return isinstance(
        operation,
        (
            migrations.CreateModel,
            migrations.AddIndex,
            migrations.RemoveIndex,
            migrations.RenameIndex,
            migrations.AlterModelOptions,
            migrations.AlterModelManagers,
            migrations.AlterModelTableComment,
        ),
    )
