"""Where this process runs: the only reader of environment variables other than secrets."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .problem import Problem

ROOT = Path(__file__).absolute().parent.parent.parent
ENVIRONMENTS = ("dev", "rehearsal", "production")


@dataclass(frozen=True)
class Environment:
    """The environment contract, with defaults filled in."""

    release_id: str
    name: str
    data_dir: Path
    secrets_file: Path | None
    exchange_url: str

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.data_dir / "db.sqlite3"


def read_environment(variables=os.environ) -> Environment:
    """The environment as given; an empty variable counts as absent."""
    secrets_file = variables.get("PLATFORM_SECRETS_FILE")
    return Environment(
        release_id=variables.get("RELEASE_ID") or "dev",
        name=variables.get("PLATFORM_ENV") or "dev",
        data_dir=Path(variables.get("PLATFORM_DATA_DIR") or ROOT / "data").absolute(),
        secrets_file=Path(secrets_file).absolute() if secrets_file else None,
        exchange_url=(variables.get("EXCHANGE_URL") or "http://127.0.0.1:8090").rstrip("/"),
    )


def environment_problems(env: Environment) -> list[Problem]:
    """What is wrong with the environment variables."""
    problems = []
    if env.name not in ENVIRONMENTS:
        hint = f"set it to one of {', '.join(ENVIRONMENTS)}"
        problems.append(Problem(f"unknown environment {env.name!r}", "PLATFORM_ENV", hint))
    if not _is_base_url(env.exchange_url):
        hint = "give a base address such as http://127.0.0.1:8090"
        problems.append(Problem("not an http(s) address", "EXCHANGE_URL", hint))
    if env.data_dir.exists() and not (env.data_dir.is_dir() and os.access(env.data_dir, os.W_OK)):
        hint = f"make {env.data_dir} a folder that this user may write"
        problems.append(Problem("not a writable folder", "PLATFORM_DATA_DIR", hint))
    return problems


def _is_base_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False
