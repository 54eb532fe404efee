"""Command line: what there is, and which function does it. Each is imported only when asked for."""

import argparse
from importlib import import_module

PORT_MAX = 65_535


def main(argv: list[str]) -> int:
    """Runs one command; returns the exit status."""
    arguments = build_parser().parse_args(argv)
    module, function = arguments.run.split(":")
    return getattr(import_module(f"platform_cli.{module}"), function)(arguments)


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(prog="run.py", description="The trading platform.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_services(commands)
    _add_trading(commands)
    _add_database(commands)
    return parser


def _add(commands, name: str, run: str, summary: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary, description=summary)
    command.set_defaults(run=run)
    return command


def _add_services(commands) -> None:
    _add(commands, "check", "check:check", "Check configuration, environment and secrets.")
    serve = _add(commands, "serve", "services:serve", "Serve the API and the dashboard.")
    _add_address(serve, 8000)
    _add(commands, "fetch", "services:fetch", "Fetch market data until stopped.")
    _add(commands, "trade", "services:trade", "Trade until stopped; only one may run.")
    exchange = _add(commands, "exchange", "services:exchange", "Run the stand-in exchange.")
    _add_address(exchange, 8090)
    exchange.add_argument(
        "--fill-delay",
        type=_seconds,
        default=0.5,
        metavar="SECONDS",
        help="time before an order can fill (default 0.5)",
    )


def _add_trading(commands) -> None:
    _add(commands, "trade-quiesce", "switches:quiesce", "Ask the trader to open nothing new.")
    _add(commands, "trade-resume", "switches:resume", "Let the trader open orders again.")
    _add(commands, "trade-status", "switches:status", "Tell whether the trader may be stopped.")
    kill = _add(commands, "kill-switch", "switches:kill_switch", "Halt trading, or allow it.")
    kill.add_argument("state", choices=["on", "off"])
    place = _add(commands, "place-order", "orders:place_order", "Place an order.")
    place.add_argument("--symbol", required=True)
    place.add_argument("--side", required=True, choices=["buy", "sell"])
    place.add_argument("--quantity", required=True)
    place.add_argument("--limit", required=True, help="limit price")
    place.add_argument("--client-order-id", help="repeating it repeats no order")
    cancel = _add(commands, "cancel-order", "orders:cancel_order", "Cancel open orders.")
    which = cancel.add_mutually_exclusive_group(required=True)
    which.add_argument("id", nargs="?", help="number or client order id")
    which.add_argument("--all", action="store_true", help="every open order")


def _add_database(commands) -> None:
    migrate = _add(commands, "migrate", "database:migrate", "Bring the database up to date.")
    mode = migrate.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="only tell whether something is pending")
    mode.add_argument("--plan", action="store_true", help="only show what would be done")
    mode.add_argument("--to", nargs=2, metavar=("APP", "NAME"), help="go forwards or backwards")
    _add(
        commands,
        "schema-accepts",
        "database:schema_accepts",
        "Print whether this release can run on the database as it is.",
    )
    _add(commands, "schema-head", "database:schema_head", "Print each app's last migration.")


def _add_address(command: argparse.ArgumentParser, port: int) -> None:
    command.add_argument("--host", default="127.0.0.1", help="address to listen on")
    command.add_argument("--port", type=_port, default=port, help=f"default {port}")


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= PORT_MAX:
        raise argparse.ArgumentTypeError(f"must be from 0 to {PORT_MAX}")
    return port


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError("must be 0 or more")
    return seconds
