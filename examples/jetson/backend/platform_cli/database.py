"""Commands for the database's schema."""

import json
import sys

from platform_backend.acceptance import acceptance
from platform_backend.environment import read_environment
from platform_backend.migration_state import applied_in, graph, pending_in
from platform_backend.migration_state import schema_head as head
from platform_backend.older_code import note_all

from .preparation import prepare_django

APPS = ("candles", "orders")


def migrate(arguments) -> int:
    """Applies migrations, or tells which are pending: then --check answers 1."""
    env = prepare_django(log_stream=sys.stderr)
    if arguments.check or arguments.plan:
        return _show_pending(pending_in(applied_in(env.database)), arguments.check)
    if arguments.to:
        if arguments.to[0] not in APPS:
            return _complain(f"no app {arguments.to[0]!r}; there are {', '.join(APPS)}")
        if arguments.to[1] != "zero" and tuple(arguments.to) not in graph().nodes:
            return _complain(f"no migration {arguments.to[1]!r} of {arguments.to[0]}")
    before = applied_in(env.database)
    try:
        _apply(arguments.to or [])
    finally:  # also when one fails: those before it stay
        _tell(before, applied_in(env.database))
    return 0


def schema_head(arguments) -> int:
    """One line of JSON: the last migration of each app, null before the first."""
    print(json.dumps(head(read_environment().database, APPS)))
    return 0


def schema_accepts(_arguments) -> int:
    """One line of JSON: whether this release can run on the database as it is; 1 if it cannot."""
    env = prepare_django(log_stream=sys.stderr)
    verdict = acceptance(env.database, APPS)
    print(json.dumps(verdict))
    return 0 if verdict["accepts"] else 1


def _apply(target: list[str]) -> None:
    from django.core.management import call_command
    from django.db import connection, transaction

    with transaction.atomic():  # before, so that no migration is ever applied without its note
        note_all(connection, graph())
    call_command("migrate", *target, verbosity=0, interactive=False)


def _tell(before: set, after: set) -> None:
    for app, name in sorted(after - before):
        print(f"applied {app}.{name}")
    for app, name in sorted(before - after, reverse=True):
        print(f"reverted {app}.{name}")
    if before == after:
        print("nothing to do: the database is up to date")


def _show_pending(nodes: list, is_check: bool) -> int:
    for app, name in nodes:
        print(f"pending {app}.{name}")
        for operation in graph().nodes[app, name].operations:
            print(f"    {operation.describe()}")
    if not nodes:
        print("nothing is pending")
    return 1 if nodes and is_check else 0


def _complain(message: str) -> int:
    print(message, file=sys.stderr)
    return 2
