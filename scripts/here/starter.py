"""Starts commands for a runner that is large: a fork costs by the memory of who forks.

Standard input brings frames of the runner, standard output takes frames to it. Each is a letter, a command's number,
another number, a count of bytes (32 bits each, little-endian), and those bytes:

    S  start it: folder, number of words, words, variables, separated by NUL
    A  what was sent last of its output has been taken
    D  its output is wanted no more

    H  ready
    P  it was started; its pid; the first and last clock tick since boot at which that may have been
    E  it could not be started; the runner tries by itself, and says why
    O  what it printed to stdout; no more of either stream is read before A
    R  what it printed to stderr
    Z  both streams are at their end
    X  it ended; the status of wait(2)
    Y  the same, and nothing is left of its group

Ends as soon as the runner has: commands are then on their own, as those that the runner started itself.
"""

import os
import select
import signal
import struct
import sys
import time

HEAD = struct.Struct("<cIII")
TICK = os.sysconf("SC_CLK_TCK")
# What a command does at once, the runner hears together: to wake it costs more than to start most commands.
GATHER = 0.004
PIECE = 65536
RUNNER = os.getppid()
EVERY = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


class Command:
    def __init__(self, number, streams):
        self.number = number
        self.streams = streams  # descriptors
        self.waits = False  # for the runner, which has what was read last


poll = select.epoll()
commands = {}  # by number, until both streams are at their end
streams = {}  # (letter, command) by descriptor
leaders = {}  # number by pid


said = bytearray()
urgent = False


def send(letter, number, more=0, piece=b""):
    global urgent
    said.extend(HEAD.pack(letter, number, more, len(piece)) + piece)
    urgent = urgent or letter != b"P"


def flush():
    global urgent
    urgent = False
    while said:
        del said[: os.write(1, said)]


def ticks():
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * TICK)


def start(number, body):
    folder, count, *rest = body.split(b"\0")
    argv, pairs = rest[: int(count)], rest[int(count) :]
    env = dict(pair.split(b"=", 1) for pair in pairs if pair)
    ends = []
    try:
        os.chdir(folder)
        # The command is looked for where its own PATH says.
        if b"PATH" in env:
            os.putenv(b"PATH", env[b"PATH"])
        else:
            os.unsetenv(b"PATH")
        out = os.pipe()
        ends.extend(out)
        err = os.pipe()
        ends.extend(err)
        files = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, out[1], 1),
            (os.POSIX_SPAWN_DUP2, err[1], 2),
        ]
        since = ticks()
        pid = os.posix_spawnp(argv[0], argv, env, file_actions=files, setsid=True, setsigmask=(), setsigdef=EVERY)
    except (OSError, ValueError, NotImplementedError):
        for end in ends:
            os.close(end)
        send(b"E", number)
        return
    send(b"P", number, pid, b"%d %d" % (since, ticks()))
    leaders[pid] = number
    os.close(out[1])
    os.close(err[1])
    command = commands[number] = Command(number, {out[0], err[0]})
    streams[out[0]] = (b"O", command)
    streams[err[0]] = (b"R", command)
    listen(command, False)


def listen(command, waits):
    command.waits = waits
    for end in command.streams:
        poll.unregister(end) if waits else poll.register(end, select.EPOLLIN)


def leave(end, command):
    # To close it is not enough: a command that has just become another program may still hold it.
    if not command.waits:
        poll.unregister(end)
    del streams[end]
    os.close(end)


def drop(number):
    command = commands.pop(number, None)
    if command:
        for end in command.streams:
            leave(end, command)


def read(end):
    letter, command = streams[end]
    if command.waits:
        return
    piece = os.read(end, PIECE)
    if piece:
        listen(command, True)
        send(letter, command.number, 0, piece)
        return
    leave(end, command)
    command.streams.discard(end)
    if not command.streams:
        del commands[command.number]
        send(b"Z", command.number)


def reap():
    while leaders:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        try:
            os.killpg(pid, 0)
            letter = b"X"
        except ProcessLookupError:
            letter = b"Y"
        except PermissionError:
            letter = b"X"
        send(letter, leaders.pop(pid), status)


def take(held):
    at = 0
    while len(held) - at >= HEAD.size:
        letter, number, _, size = HEAD.unpack_from(held, at)
        end = at + HEAD.size + size
        if len(held) < end:
            break
        if letter == b"S":
            if os.getppid() != RUNNER:
                sys.exit()
            start(number, bytes(held[at + HEAD.size : end]))
        elif letter == b"A":
            if number in commands:
                listen(commands[number], False)
        elif letter == b"D":
            drop(number)
        at = end
    return held[at:]


def main():
    # What the terminal sends is for the runner to pass on.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    poll.register(0, select.EPOLLIN)
    poll.register(woken, select.EPOLLIN)
    send(b"H", 0)
    flush()
    held = b""
    while True:
        events = poll.poll(0 if urgent else GATHER if said else None)
        if not events:
            flush()
        for end, _ in events:
            if end == 0:
                more = os.read(0, PIECE)
                if not more:
                    return
                held = take(held + more)
            elif end == woken:
                os.read(woken, 512)
            elif end in streams:
                read(end)
        reap()


try:
    main()
except BrokenPipeError:
    pass
