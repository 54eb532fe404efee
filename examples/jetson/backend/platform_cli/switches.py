"""Commands that work without the database and without Django."""

import json

from platform_backend.environment import read_environment
from trader import flags
from trader.status import trade_status


def quiesce(arguments) -> int:
    """Opens nothing new from now on, also after a restart."""
    return _turn_on(flags.QUIESCED, "quiesced: nothing new is opened; open orders stay")


def resume(arguments) -> int:
    """Undoes quiesce."""
    flags.clear_flag(read_environment().data_dir, flags.QUIESCED)
    print("resumed")
    return 0


def kill_switch(arguments) -> int:
    """Halts trading, or allows it again."""
    if arguments.state == "on":
        return _turn_on(flags.KILL_SWITCH, "kill switch on: the trader cancels all open orders")
    flags.clear_flag(read_environment().data_dir, flags.KILL_SWITCH)
    print("kill switch off")
    return 0


def status(arguments) -> int:
    """0 when the trader may be stopped, otherwise 1."""
    found = trade_status(read_environment().data_dir)
    print(json.dumps(found))
    return 0 if found["safeToStop"] else 1


def _turn_on(flag: str, message: str) -> int:
    drained = flags.set_flag(read_environment().data_dir, flag)
    print(message if drained else f"{message}; an order that was on its way may still appear")
    return 0
