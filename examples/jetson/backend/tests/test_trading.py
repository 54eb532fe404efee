"""Orders: placed once, filled once, stopped by the switches; over the real order book."""

from decimal import Decimal

import pytest

from exchange.orders import OrderBook
from orders.book import adopt, apply_report
from orders.models import Order, Position
from platform_backend.exchange_client import ExchangeUnavailable
from trader import flags, reconcile
from trader.lock import AlreadyTrading, take_trader_lock
from trader.placing import DifferentOrder, place
from trader.strategy import Intent, next_intent

FAR = Intent("BTC-USD", "buy", Decimal("0.01"), Decimal("1"))
NEAR = Intent("BTC-USD", "buy", Decimal("0.01"), Decimal("100000"))


class BookClient:
    """The client's interface straight to an order book; it can lose answers on purpose."""

    def __init__(self, folder):
        self.book = OrderBook(folder / "book.json", fill_delay=0)
        self.answers_to_lose = 0

    def place(self, order):
        placed, _ = self.book.place(order)
        if self.answers_to_lose:
            self.answers_to_lose -= 1
            raise ExchangeUnavailable("the answer was lost")
        return placed

    def order(self, client_order_id):
        return self.book.orders.get(client_order_id)

    def open_orders(self):
        return self.book.resting()

    def cancel(self, client_order_id):
        return self.book.cancel(client_order_id)


@pytest.fixture
def exchange(data_dir):
    return BookClient(data_dir)


def test_the_same_id_never_places_twice(db, exchange):
    first, created = place(exchange, FAR, "manual", "id-1")
    again, created_again = place(exchange, FAR, "manual", "id-1")
    assert (created, created_again, first.pk) == (True, False, again.pk)
    assert len(exchange.book.orders) == Order.objects.count() == 1
    with pytest.raises(DifferentOrder):
        place(exchange, NEAR, "manual", "id-1")


@pytest.mark.parametrize(("lost", "status"), [(1, "open"), (2, "pending")])
def test_a_lost_answer_does_not_double_the_order(db, exchange, lost, status):
    exchange.answers_to_lose = lost
    order, _ = place(exchange, FAR, "manual", "id-1")
    assert order.status == status
    reconcile.refresh(exchange)
    order.refresh_from_db()
    assert (order.status, len(exchange.book.orders)) == ("open", 1)


def test_a_fill_moves_the_position_once(db, exchange):
    place(exchange, NEAR, "manual", "id-1")
    exchange.book.match()
    report = exchange.order("id-1")
    apply_report("id-1", report)
    apply_report("id-1", report)
    assert Position.objects.get().quantity == Decimal("0.01")
    apply_report("id-1", {**report, "status": "open", "filled_quantity": "0"})
    assert Order.objects.get().status == "filled"


def fill(exchange, side, quantity, price, identifier):
    report = {"client_order_id": identifier, "id": identifier, "symbol": "BTC-USD", "side": side}
    amounts = {"quantity": quantity, "filled_quantity": quantity}
    adopt({**report, **amounts, "status": "filled", "limit_price": price, "average_price": price})
    position = Position.objects.get()
    return position.quantity, position.average_price, position.realized_pnl


def test_positions_average_in_and_realise_out(db, exchange):
    assert fill(exchange, "buy", "1", "100", "a") == (1, 100, 0)
    assert fill(exchange, "buy", "1", "200", "b") == (2, 150, 0)
    assert fill(exchange, "sell", "1", "170", "c") == (1, 150, 20)
    assert fill(exchange, "sell", "2", "160", "d") == (-1, 160, 30)
    assert fill(exchange, "buy", "1", "150", "e") == (0, 0, 40)


def test_reconciling_adopts_unknown_orders_and_gives_up_lost_ones(db, exchange, monkeypatch):
    exchange.place(
        {
            "client_order_id": "stray",
            "symbol": "BTC-USD",
            "side": "buy",
            "quantity": "1",
            "limit_price": "1",
        }
    )
    place(exchange, FAR, "manual", "lost")
    del exchange.book.orders["lost"]
    reconcile.reconcile(exchange)
    assert Order.objects.get(client_order_id="stray").source == "adopted"
    assert Order.objects.get(client_order_id="lost").status == "open"
    monkeypatch.setattr(reconcile, "LOST_AFTER_SECONDS", -1)
    reconcile.refresh(exchange)
    assert Order.objects.get(client_order_id="lost").status == "rejected"


@pytest.mark.parametrize("flag", [flags.QUIESCED, flags.KILL_SWITCH])
def test_switches_stop_new_orders(db, exchange, data_dir, flag):
    assert flags.set_flag(data_dir, flag)
    assert flags.set_flag(data_dir, flag)
    with pytest.raises(flags.TradingPaused):
        place(exchange, FAR, "manual", "id-1")
    assert Order.objects.count() == 0
    flags.clear_flag(data_dir, flag)
    flags.clear_flag(data_dir, flag)
    place(exchange, FAR, "manual", "id-1")


def test_a_switch_waits_for_an_order_on_its_way(data_dir, monkeypatch):
    monkeypatch.setattr(flags, "DRAIN_SECONDS", 0.1)
    with flags.opening_an_order(data_dir):
        assert not flags.set_flag(data_dir, flags.QUIESCED)
    assert flags.set_flag(data_dir, flags.QUIESCED)


def test_only_one_trader(tmp_path):
    take_trader_lock(tmp_path, "r1")
    with pytest.raises(AlreadyTrading, match="release r1"):
        take_trader_lock(tmp_path, "r2")


def test_the_strategy_builds_up_and_takes_down():
    sides, held, last = [], Decimal(0), "buy"
    for price in (100, 101, 99, 100, 102, 98):
        intent = next_intent("X", Decimal(price), held, last, Decimal(50), 2)
        held += intent.quantity if intent.side == "buy" else -intent.quantity
        last = intent.side
        sides.append(last)
    assert sides == ["buy", "buy", "sell", "sell", "buy", "buy"]
    assert held >= 0
