"""Commands that run until they are stopped, each as one process."""

import sys

from .preparation import prepare, prepare_django


def serve(arguments) -> int:
    """The API and the dashboard."""
    prepare_django()
    from platform_backend.server import serve as run

    return run(arguments.host, arguments.port)


def fetch(arguments) -> int:
    """The market-data fetcher."""
    prepare_django()
    from fetcher.loop import run
    from platform_backend.stopping import StopSignal

    run(StopSignal().listen())
    return 0


def trade(arguments) -> int:
    """The trader, unless one is running: then 75."""
    env = prepare_django()
    from platform_backend.stopping import StopSignal
    from trader.lock import EX_TEMPFAIL, AlreadyTrading, take_trader_lock
    from trader.loop import run

    try:
        take_trader_lock(env.data_dir, env.release_id)
    except AlreadyTrading as error:
        print(error, file=sys.stderr)
        return EX_TEMPFAIL
    run(StopSignal().listen())
    return 0


def exchange(arguments) -> int:
    """The stand-in exchange."""
    env, secrets = prepare()
    from exchange.server import run

    return run(
        arguments.host,
        arguments.port,
        secrets["EXCHANGE_API_KEY"],
        arguments.fill_delay,
        env.data_dir / "exchange-state.json",
    )
