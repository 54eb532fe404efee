"""The whole platform as it really runs: processes, signals, a database that others hold."""

import fcntl
import json
import socket
import sqlite3
import threading
import time
from contextlib import closing

from .rig import SECRETS, get, stop, until


def rows(rig, query):
    with closing(sqlite3.connect(rig.data / "db.sqlite3", timeout=5)) as link:
        return link.execute(query).fetchall()


def test_from_the_exchange_to_a_filled_order(rig):
    exchange = rig.exchange("--fill-delay", "0.1")
    assert rig.run("migrate").returncode == 0
    serve, url = rig.serve()
    fetch = rig.start("fetch")
    until(lambda: rows(rig, "SELECT count(*) FROM candles_candle")[0][0] >= 400)
    trade = rig.start("trade")
    until(lambda: rows(rig, "SELECT 1 FROM orders_order WHERE status = 'filled'"))
    assert until(lambda: get(f"{url}/api/positions")[1]["positions"])
    ready = get(f"{url}/api/health/ready")[1]
    assert (ready["release"], ready["status"]) == ("r1", "ok")

    second = rig.run("trade")
    assert second.returncode == 75
    assert f"pid {trade.pid}" in second.stderr

    assert rig.run("trade-quiesce").returncode == 0
    until(lambda: rig.status()["safeToStop"])
    before = rows(rig, "SELECT count(*) FROM orders_order")
    until(lambda: "now quiesced" in rig.log("trade"))
    assert rows(rig, "SELECT count(*) FROM orders_order") == before

    for process in (trade, fetch, serve, exchange):
        assert stop(process) == 0
    logs = "".join(rig.log(name) for name in ("trade", "fetch", "serve", "exchange"))
    assert {json.loads(line)["release"] for line in logs.splitlines()} == {"r1"}
    assert not [value for value in SECRETS.values() if value in logs]


def place(rig, *options):
    values = ("--symbol", "BTC-USD", "--side", "buy", "--quantity", "0.01", "--limit", "1.0")
    return rig.run("place-order", *values, *options)


def test_an_order_left_open_is_not_safe_to_stop(rig):
    assert rig.status() == {
        "safeToStop": True,
        "open": [],
        "openPositions": 0,
        "quiesced": False,
        "killSwitch": False,
    }
    exchange = rig.exchange()
    rig.run("migrate")
    assert place(rig).returncode == 0
    status = rig.status()
    assert status["safeToStop"] is False
    assert status["open"][0].startswith("order 1 BUY 0.01 BTC-USD limit 1.0 (age ")
    assert rig.run("trade-status").returncode == 1

    assert stop(exchange) == 0
    rig.exchange()  # it still has the order
    assert rig.run("cancel-order", "1").returncode == 0
    assert rig.run("trade-status").returncode == 0
    assert rig.run("cancel-order", "1").returncode == 1
    rig.run("trade-quiesce")
    refused = place(rig)
    assert (refused.returncode, "run.py trade-resume" in refused.stderr) == (1, True)


def test_the_kill_switch_cancels_and_a_locked_database_only_delays(rig):
    rig.exchange()
    rig.run("migrate")
    assert place(rig).returncode == 0
    with closing(sqlite3.connect(rig.data / "db.sqlite3", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        rig.run("kill-switch", "on")
        trade = rig.start("trade")
        until(lambda: "database is locked" in rig.log("trade"))
        assert trade.poll() is None
        assert rig.status()["open"]
    until(lambda: rig.status()["safeToStop"])
    assert rows(rig, "SELECT status FROM orders_order") == [("cancelled",)]
    assert stop(trade) == 0


def test_the_fetcher_survives_an_exchange_that_is_down(rig):
    rig.run("migrate")
    fetch = rig.start("fetch")
    until(lambda: rig.log("fetch").count("trying again") >= 2)
    rig.exchange()
    until(lambda: rows(rig, "SELECT count(*) FROM candles_candle")[0][0] > 0)
    assert stop(fetch) == 0


def test_serve_finishes_a_request_before_it_ends(rig):
    rig.run("migrate")
    serve, url = rig.serve()
    port = int(url.rsplit(":", 1)[1])
    answers = []
    holder = sqlite3.connect(rig.data / "db.sqlite3", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    body = {"symbol": "BTC-USD", "side": "buy", "quantity": "1", "limit_price": "1"}
    token = {"Authorization": f"Bearer {SECRETS['PLATFORM_API_TOKEN']}"}
    caller = threading.Thread(target=lambda: answers.append(get(f"{url}/api/orders", body, token)))
    caller.start()
    until(lambda: _gate_is_held(rig))
    serve.terminate()
    until(lambda: "1 requests in flight" in rig.log("serve"))
    holder.close()
    started = time.monotonic()
    assert serve.wait(5) == 0
    assert time.monotonic() - started < 2.5
    caller.join(5)
    assert answers[0][0] == 201
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def _gate_is_held(rig) -> bool:
    """Whether the request has got as far as writing its order down."""
    path = rig.data / "trader.gate"
    if not path.exists():
        return False
    with path.open() as gate:
        try:
            fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True


def test_serve_says_when_its_port_is_taken(rig):
    rig.run("migrate")
    _, url = rig.serve()
    second = rig.run("serve", "--port", url.rsplit(":", 1)[1])
    assert second.returncode == 1
    assert "cannot listen" in second.stderr


def test_a_silent_exchange_slows_no_answer_and_a_broken_one_is_only_degraded(rig):
    rig.run("migrate")
    with socket.create_server(("127.0.0.1", rig.exchange_port)) as silent:
        serve, url = rig.serve()
        until(lambda: get(f"{url}/api/health/ready")[1]["checks"]["exchange"]["status"])
        started = time.monotonic()
        assert get(f"{url}/api/health/ready")[0] == 200
        assert time.monotonic() - started < 1
        silent.settimeout(5)
        for _ in range(3):
            connection, _ = silent.accept()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
            connection.close()
        status, body = get(f"{url}/api/health/ready")
        assert (status, body["checks"]["exchange"]["status"]) == (200, "degraded")
    assert stop(serve) == 0


def test_reading_the_state_leaves_no_files(rig):
    rig.run("migrate")
    before = sorted(path.name for path in rig.data.iterdir())
    for command in ("trade-status", "schema-head"):
        assert rig.run(command).returncode == 0
    rig.run("migrate", "--check")
    assert sorted(path.name for path in rig.data.iterdir()) == before
