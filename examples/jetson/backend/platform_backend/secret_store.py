"""Secrets: from a private file, else from the environment, else (dev only) made up once.

A file wins over environment variables, because variables are inherited by every child process.
"""

import os
import secrets
import stat
from pathlib import Path

from .environment import Environment
from .problem import Problem

NAMES = ("DJANGO_SECRET_KEY", "EXCHANGE_API_KEY", "PLATFORM_API_TOKEN")
DEV_FILE = "dev-secrets"


class SecretsError(Exception):
    """The secrets cannot be used; carries the problem to show."""

    def __init__(self, problem: Problem):
        super().__init__(str(problem))
        self.problem = problem


def load_secrets(env: Environment, variables=os.environ) -> dict[str, str]:
    """All secrets by name; in dev missing ones are made up and kept in the data folder.

    Raises SecretsError when the file is unsafe or unreadable, or a name has no value.
    """
    found = _given(env, variables)
    missing = [name for name in NAMES if not found.get(name)]
    if not missing:
        return found
    if env.name != "dev":
        hint = "add NAME=VALUE lines to the file in PLATFORM_SECRETS_FILE, or set the variables"
        raise SecretsError(Problem("missing secret", ", ".join(missing), hint))
    return {**_dev_secrets(env.data_dir), **{k: v for k, v in found.items() if v}}


def secrets_problems(env: Environment, variables=os.environ) -> list[Problem]:
    """What is wrong with the secrets, without making any up."""
    try:
        found = _given(env, variables)
    except SecretsError as error:
        return [error.problem]
    if env.name == "dev":
        return []
    hint = "add a line NAME=VALUE to the file in PLATFORM_SECRETS_FILE, or set the variable"
    return [Problem("missing secret", name, hint) for name in NAMES if not found.get(name)]


def _given(env: Environment, variables) -> dict[str, str]:
    from_variables = {name: variables.get(name, "") for name in NAMES}
    from_file = _read_private(env.secrets_file) if env.secrets_file else {}
    return {name: from_file.get(name) or from_variables[name] for name in NAMES}


def _read_private(path: Path) -> dict[str, str]:
    """KEY=VALUE lines of a file that only its owner can read."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode) or mode & 0o077:
                hint = f"run: chmod 600 {path}"
                raise SecretsError(
                    Problem("others can read the secrets file", "PLATFORM_SECRETS_FILE", hint)
                )
            return parse_secrets(file.read())
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        hint = f"check that {path} exists and belongs to this user"
        raise SecretsError(
            Problem(f"cannot read it ({reason})", "PLATFORM_SECRETS_FILE", hint)
        ) from None


def parse_secrets(text: str) -> dict[str, str]:
    """Names and values; blank lines and lines that begin with # do not count."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _dev_secrets(data_dir: Path) -> dict[str, str]:
    path = data_dir / DEV_FILE
    if not path.exists():
        _create_once(path)
    return _read_private(path)


def _create_once(path: Path) -> None:
    """Links a finished file into place: processes that start together read the same one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{name}={secrets.token_urlsafe(32)}\n" for name in NAMES)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
