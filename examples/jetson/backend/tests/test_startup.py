"""Configuration, environment and secrets are checked before anything starts."""

import stat

import pytest
import yaml

from platform_backend.config import CONFIG_FILE, config_problems, load_config
from platform_backend.environment import environment_problems, read_environment
from platform_backend.secret_store import SecretsError, load_secrets, secrets_problems

from .rig import SECRETS


def write_config(folder, change):
    content = yaml.safe_load(CONFIG_FILE.read_text())
    change(content)
    path = folder / "platform_config.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_shipped_configuration_is_valid():
    assert config_problems() == []
    assert load_config().market.symbols == ["BTC-USD", "ETH-USD"]


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        (lambda c: c.pop("fetcher"), "fetcher", "missing"),
        (lambda c: c["fetcher"].pop("interval_seconds"), "interval_seconds", "missing"),
        (lambda c: c["fetcher"].update(intervall_seconds=1), "fetcher", "unknown key"),
        (lambda c: c["fetcher"].update(interval_seconds="1"), "interval_seconds", "a number"),
        (lambda c: c["fetcher"].update(interval_seconds=True), "interval_seconds", "a number"),
        (lambda c: c["fetcher"].update(interval_seconds=0), "interval_seconds", "from 0.1 to 60"),
        (lambda c: c["market"].update(candle_seconds=1.5), "candle_seconds", "whole number"),
        (lambda c: c["market"].update(symbols=[]), "symbols", "at least one"),
        (lambda c: c["market"].update(symbols=["A", "A"]), "symbols", "twice"),
        (lambda c: c["logging"].update(level="LOUD"), "level", "one of DEBUG"),
        (lambda c: c.update(trader=None), "trader", "mapping"),
    ],
)
def test_each_fault_in_the_configuration_is_named(tmp_path, change, where, what):
    (problem,) = config_problems(write_config(tmp_path, change))
    assert where in problem.where
    assert what in problem.what


def test_a_misspelt_key_gets_a_suggestion(tmp_path):
    path = write_config(tmp_path, lambda c: c["trader"].update(notionl=5))
    (problem,) = config_problems(path)
    assert problem.hint == "did you mean 'notional'?"


def test_broken_yaml_names_the_line(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("a: 1\nb: [\n")
    (problem,) = config_problems(path)
    assert "line" in problem.where


def test_environment_faults_are_named(tmp_path):
    env = read_environment(
        {"PLATFORM_ENV": "prod", "EXCHANGE_URL": "exchange:80", "PLATFORM_DATA_DIR": str(tmp_path)}
    )
    assert [p.where for p in environment_problems(env)] == ["PLATFORM_ENV", "EXCHANGE_URL"]


def env_with(tmp_path, name, text=None, mode=0o600):
    variables = {"PLATFORM_ENV": name, "PLATFORM_DATA_DIR": str(tmp_path / "data")}
    if text is not None:
        path = tmp_path / "secrets"
        path.write_text(text)
        path.chmod(mode)
        variables["PLATFORM_SECRETS_FILE"] = str(path)
    return read_environment(variables)


def test_the_file_wins_over_the_environment(tmp_path):
    env = env_with(tmp_path, "production", "EXCHANGE_API_KEY = from-file\n# comment\n\n")
    found = load_secrets(env, SECRETS)
    assert found == {**SECRETS, "EXCHANGE_API_KEY": "from-file"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(tmp_path, mode):
    env = env_with(tmp_path, "production", "", mode)
    (problem,) = secrets_problems(env, SECRETS)
    assert "chmod 600" in problem.hint


def test_a_missing_file_is_refused_even_in_dev(tmp_path):
    env = env_with(tmp_path, "dev", "")
    env.secrets_file.unlink()
    (problem,) = secrets_problems(env, {})
    assert problem.where == "PLATFORM_SECRETS_FILE"


def test_production_needs_every_secret(tmp_path):
    env = env_with(tmp_path, "production")
    assert [p.where for p in secrets_problems(env, {})] == list(SECRETS)
    with pytest.raises(SecretsError):
        load_secrets(env, {})


def test_dev_makes_secrets_up_once_and_privately(tmp_path):
    env = env_with(tmp_path, "dev")
    first = load_secrets(env, {})
    assert load_secrets(env, {}) == first
    assert len(set(first.values())) == 3
    mode = (env.data_dir / "dev-secrets").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert [path.name for path in env.data_dir.iterdir()] == ["dev-secrets"]


def test_check_prints_every_problem_and_no_secret(rig):
    rig.secrets.write_text("EXCHANGE_API_KEY=very-secret-value\n")
    done = rig.run("check", EXCHANGE_URL="ftp://x")
    assert done.returncode == 78
    assert len(done.stderr.splitlines()) == 3
    assert "very-secret-value" not in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["serve", "fetch", "trade", "exchange", "migrate"])
def test_commands_refuse_to_start_without_secrets(rig, command):
    rig.secrets.write_text("")
    done = rig.run(command)
    assert done.returncode == 78
    assert "DJANGO_SECRET_KEY: missing secret" in done.stderr


def test_check_is_content_with_a_good_setup(rig):
    done = rig.run("check")
    assert (done.returncode, done.stderr) == (0, "")
    assert not rig.data.exists()
