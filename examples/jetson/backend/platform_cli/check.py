"""`check`: the start-up check alone."""

from platform_backend.environment import read_environment
from platform_backend.startup import startup_problems

from .preparation import stop_on


def check(arguments) -> int:
    """Prints every problem; 0 without any, otherwise 78."""
    env = read_environment()
    stop_on(startup_problems(env))
    print(f"ok: {env.name}, release {env.release_id}, data in {env.data_dir}")
    return 0
