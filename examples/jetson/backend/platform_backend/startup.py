"""The check that every long-running command makes before it starts."""

from .config import config_problems
from .environment import Environment, environment_problems
from .problem import Problem
from .secret_store import secrets_problems

EX_CONFIG = 78  # sysexits.h: something in the configuration


def startup_problems(env: Environment) -> list[Problem]:
    """Everything that must be put right before the platform can start."""
    return [*environment_problems(env), *config_problems(), *secrets_problems(env)]
