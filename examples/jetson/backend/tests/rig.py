"""Runs the real commands as real processes, and waits for what they do, never just for time."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

RUN = Path(__file__).absolute().parents[2] / "run.py"
WAIT_SECONDS = 20
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SECRETS = {
    "DJANGO_SECRET_KEY": "django-secret-for-tests",
    "EXCHANGE_API_KEY": "exchange-key-for-tests",
    "PLATFORM_API_TOKEN": "api-token-for-tests",
}


def until(question, seconds: float = WAIT_SECONDS):
    """Asks until the answer is true, and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds} s; last answer: {answer!r}"
        time.sleep(0.05)


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url: str, body: dict | None = None, headers: dict | None = None) -> tuple[int, dict]:
    """Status and JSON of an answer; status 0 while nobody listens."""
    data = None if body is None else json.dumps(body).encode()
    given = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data=data, headers=given)
    try:
        with DIRECT.open(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
    except OSError:
        return 0, {}


class Rig:
    """One data folder, one secrets file, and processes over them."""

    def __init__(self, folder: Path):
        self.data = folder / "data"
        self.secrets = folder / "secrets"
        self.secrets.write_text("".join(f"{k}={v}\n" for k, v in SECRETS.items()))
        self.secrets.chmod(0o600)
        self.logs = folder
        self.exchange_port = free_port()
        self.exchange_url = f"http://127.0.0.1:{self.exchange_port}"
        self.processes: list[subprocess.Popen] = []

    def environment(self, **changes: str) -> dict[str, str]:
        """Nothing is inherited but the search path."""
        return {
            "PATH": os.environ["PATH"],
            "RELEASE_ID": "r1",
            "PLATFORM_ENV": "rehearsal",
            "PLATFORM_DATA_DIR": str(self.data),
            "PLATFORM_SECRETS_FILE": str(self.secrets),
            "EXCHANGE_URL": self.exchange_url,
            **changes,
        }

    def run(
        self, *arguments: str, entry: Path = RUN, **changes: str
    ) -> subprocess.CompletedProcess:
        """Runs a command to its end, of another release if told."""
        return subprocess.run(
            [sys.executable, str(entry), *arguments],
            env=self.environment(**changes),
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
        )

    def start(self, *arguments: str) -> subprocess.Popen:
        """Starts a command that runs on; its output goes to `<command>.log`."""
        with (self.logs / f"{arguments[0]}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(RUN), *arguments],
                env=self.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        return process

    def exchange(self, *options: str) -> subprocess.Popen:
        """Starts the exchange and waits for it."""
        process = self.start("exchange", "--port", str(self.exchange_port), *options)
        until(lambda: get(f"{self.exchange_url}/health")[0] == 200)
        return process

    def serve(self) -> tuple[subprocess.Popen, str]:
        """Starts the backend and waits for it; returns its address too."""
        port = free_port()
        process = self.start("serve", "--port", str(port))
        url = f"http://127.0.0.1:{port}"
        until(lambda: get(f"{url}/api/health/live")[0] == 200)
        return process, url

    def status(self) -> dict:
        """What trade-status says."""
        return json.loads(self.run("trade-status").stdout)

    def log(self, command: str) -> str:
        """What a command has written so far."""
        return (self.logs / f"{command}.log").read_text()

    def close(self) -> None:
        """Ends what is still running."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait(WAIT_SECONDS)


def stop(process: subprocess.Popen, seconds: float = WAIT_SECONDS) -> int:
    """Asks a process to end; returns its exit status."""
    process.terminate()
    return process.wait(seconds)
