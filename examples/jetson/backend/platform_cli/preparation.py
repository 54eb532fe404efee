"""What a command needs before its work: a checked configuration, logs, Django."""

import os
import sys

from platform_backend.config import load_config
from platform_backend.environment import Environment, read_environment
from platform_backend.logs import configure_logs
from platform_backend.secret_store import SecretsError, load_secrets
from platform_backend.startup import EX_CONFIG, startup_problems


def prepare(log_stream=sys.stdout) -> tuple[Environment, dict[str, str]]:
    """Checks everything, then sends logs to the stream. Exits with 78 when something is wrong."""
    env = read_environment()
    stop_on(startup_problems(env))
    env.data_dir.mkdir(parents=True, exist_ok=True)
    try:
        secrets = load_secrets(env)
    except SecretsError as error:
        stop_on([error.problem])
    configure_logs(load_config().logging.level, env.release_id, secrets.values(), log_stream)
    return env, secrets


def prepare_django(log_stream=sys.stdout) -> Environment:
    """The same, with models usable."""
    env, _ = prepare(log_stream)
    os.environ["DJANGO_SETTINGS_MODULE"] = "platform_backend.settings"
    import django

    django.setup()
    return env


def stop_on(problems: list) -> None:
    """Prints problems, if any, and exits."""
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        sys.exit(EX_CONFIG)
