"""The HTTP interface: orders, errors, correlation ids, the dashboard's files, what is logged."""

import json
import logging

import pytest
from django.db import OperationalError

from orders.models import Order
from platform_backend.logs import JsonLines, RedactSecrets

WANTED = {"symbol": "BTC-USD", "side": "buy", "quantity": "0.01", "limit_price": "1"}


def post(client, body, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return client.post("/api/orders", body, content_type="application/json", headers=headers)


@pytest.fixture
def token(settings):
    return settings.SECRETS["PLATFORM_API_TOKEN"]


def test_orders_need_the_token(client, db):
    assert post(client, WANTED).status_code == 401
    assert post(client, WANTED, "wrong").status_code == 401
    assert Order.objects.count() == 0


@pytest.mark.parametrize(
    "change", [{"symbol": "NONE"}, {"quantity": "0"}, {"limit_price": "x"}, {"side": "hold"}]
)
def test_unusable_orders_are_refused(client, db, token, change):
    assert post(client, {**WANTED, **change}, token).status_code == 400
    assert Order.objects.count() == 0


def test_an_order_is_kept_as_pending_while_the_exchange_is_down(client, db, data_dir, token):
    answer = post(client, {**WANTED, "client_order_id": "a"}, token)
    assert (answer.status_code, answer.json()["status"]) == (201, "pending")
    assert post(client, {**WANTED, "client_order_id": "a"}, token).status_code == 200
    listed = client.get("/api/orders?status=pending").json()["orders"]
    assert [order["client_order_id"] for order in listed] == ["a"]


def test_a_busy_database_is_503(client, db, token, monkeypatch):
    def busy(*arguments):
        raise OperationalError("database is locked")

    monkeypatch.setattr("orders.views.place", busy)
    answer = post(client, WANTED, token)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")


@pytest.mark.parametrize("path", ["/api/nope", "/api/", "/api", "/api/health/x"])
def test_unknown_api_addresses_are_json(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/json")


@pytest.mark.parametrize(("given", "kept"), [("ab-1._Z", True), ("a b", False), ("x" * 65, False)])
def test_correlation_ids_are_taken_over_when_well_formed(client, given, kept):
    answer = client.get("/api/health/live", headers={"X-Correlation-ID": given})
    assert (answer.headers["X-Correlation-ID"] == given) is kept
    assert answer.headers["X-Correlation-ID"]


def test_status_and_candles_without_data(client, db):
    status = client.get("/api/status").json()
    assert (status["equity"], status["kill_switch"]) == ("10000.00", False)
    assert client.get("/api/candles?symbol=BTC-USD").json()["candles"] == []
    assert client.get("/api/candles?limit=0").status_code == 400
    assert client.get("/api/positions").json() == {"positions": []}


@pytest.fixture
def dist(settings, tmp_path):
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<title>page</title>")
    (folder / "assets" / "app-1a2b.js").write_text("1")
    (tmp_path / "outside.txt").write_text("outside")
    settings.FRONTEND_DIST = folder
    return folder


def test_the_dashboard_is_served(client, dist):
    page = client.get("/")
    assert (page.status_code, page.headers["Cache-Control"]) == (200, "no-cache")
    assert client.get("/orders/5").content == page.content
    script = client.get("/assets/app-1a2b.js")
    assert "immutable" in script.headers["Cache-Control"]
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert client.get("/assets/gone.js").status_code == 404
    assert client.post("/").status_code == 405


@pytest.mark.parametrize(
    "path",
    ["/../outside.txt", "/assets/../../outside.txt", "/%2e%2e/outside.txt", "/..%2foutside.txt"],
)
def test_nothing_outside_is_served(client, dist, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert b"outside" not in answer.content.replace(path.encode(), b"")


def test_a_nul_in_the_path_is_harmless(client, dist):
    assert client.get("/a%00b").status_code == 200


def test_the_api_works_without_the_dashboard(client, settings, tmp_path):
    settings.FRONTEND_DIST = tmp_path / "none"
    assert client.get("/").status_code == 404
    assert client.get("/api/health/live").status_code == 200


def test_secrets_are_redacted_in_messages_and_tracebacks():
    try:
        raise ValueError("bad key s3cret-value")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "sent %s", ("s3cret-value",), info)
    assert RedactSecrets(["s3cret-value"]).filter(record)
    line = JsonLines("r1").format(record)
    assert "s3cret-value" not in line
    assert json.loads(line)["message"] == "sent ***"
    assert "ValueError: bad key ***" in json.loads(line)["traceback"]
