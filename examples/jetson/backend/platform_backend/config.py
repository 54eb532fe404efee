"""The configuration file: read, checked against a table of fields, turned into values."""

import difflib
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import yaml

from .environment import ROOT
from .problem import Problem

CONFIG_FILE = ROOT / "configs" / "platform_config.yaml"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True)
class Number:
    """A number between two bounds, both allowed."""

    low: float
    high: float
    whole: bool = False

    def objection(self, value) -> str | None:
        kinds = (int,) if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            return "must be a whole number" if self.whole else "must be a number"
        if not self.low <= value <= self.high:
            return f"must be from {self.low} to {self.high}"
        return None


@dataclass(frozen=True)
class OneOf:
    """One of a few words."""

    words: tuple[str, ...]

    def objection(self, value) -> str | None:
        return None if value in self.words else f"must be one of {', '.join(self.words)}"


class Words:
    """A list of one or more different words."""

    def objection(self, value) -> str | None:
        if not isinstance(value, list) or not value:
            return "must be a list with at least one entry"
        if not all(isinstance(word, str) and word for word in value):
            return "must hold text only"
        return None if len(set(value)) == len(value) else "names something twice"


FIELDS = {
    "server": {"allowed_hosts": Words()},
    "logging": {"level": OneOf(LEVELS)},
    "exchange": {"timeout_seconds": Number(0.1, 30)},
    "market": {
        "symbols": Words(),
        "candle_seconds": Number(1, 86_400, whole=True),
        "max_age_seconds": Number(1, 300),
    },
    "fetcher": {
        "interval_seconds": Number(0.1, 60),
        "max_backoff_seconds": Number(0.1, 300),
        "backfill_candles": Number(1, 1000, whole=True),
        "retention_hours": Number(1, 8760),
    },
    "trader": {
        "interval_seconds": Number(0.1, 3600),
        "notional": Number(1, 10_000),
        "max_orders_held": Number(1, 100, whole=True),
        "order_timeout_seconds": Number(1, 3600),
        "starting_equity": Number(0, 1_000_000_000),
    },
}


def config_problems(path: Path = CONFIG_FILE) -> list[Problem]:
    """Everything that is wrong with the file."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        return [Problem(f"cannot read it ({error.strerror})", path.name, "restore the file")]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path.name} line {mark.line + 1}" if mark else path.name
        return [Problem("not valid YAML", place, "check its indentation and quotes")]
    return list(_section_problems(content, FIELDS, path.name))


def load_config(path: Path = CONFIG_FILE) -> SimpleNamespace:
    """The checked values, as `config.section.key`; ValueError lists what is wrong."""
    problems = config_problems(path)
    if problems:
        raise ValueError("\n".join(map(str, problems)))
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return SimpleNamespace(**{name: SimpleNamespace(**part) for name, part in content.items()})


def _section_problems(content, fields: dict, where: str):
    if not isinstance(content, dict):
        yield Problem("must be a mapping", where, f"give it the keys {', '.join(fields)}")
        return
    for key in content.keys() - fields.keys():
        yield Problem(f"unknown key {key!r}", where, _suggestion(str(key), fields))
    for key, field in fields.items():
        place = f"{where}: {key}"
        if key not in content:
            yield Problem("missing", place, "add it; the repository's copy shows a usual value")
        elif isinstance(field, dict):
            yield from _section_problems(content[key], field, place)
        elif objection := field.objection(content[key]):
            yield Problem(objection, place, f"now it is {content[key]!r}")


def _suggestion(key: str, fields: dict) -> str:
    near = difflib.get_close_matches(key, fields, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(fields)}"
