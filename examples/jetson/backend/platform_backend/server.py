"""Daphne inside this process, with a socket of our own and an orderly end."""

import asyncio
import logging
import signal
import socket
import sys

from daphne.server import Server, reactor, twisted_loop

from .asgi import application
from .exchange_probe import probe

log = logging.getLogger("platform.server")
DRAIN_SECONDS = 1.5  # for requests that are being answered when the process is told to stop
FLUSH_SECONDS = 0.1  # for the last bytes of an answer to leave
REQUEST_SECONDS_MAX = 30


class InFlight:
    """An ASGI application that knows how many requests another is answering."""

    def __init__(self, inner):
        self.inner = inner
        self.count = 0

    async def __call__(self, scope, receive, send):
        self.count += 1
        try:
            await self.inner(scope, receive, send)
        finally:
            self.count -= 1


def serve(host: str, port: int) -> int:
    """Serves until SIGTERM or SIGINT; 0 after an orderly end, 1 if the address is taken."""
    try:
        listener = socket.create_server((host, port), backlog=128)
    except OSError as error:
        print(f"cannot listen on {host}:{port}: {error.strerror}", file=sys.stderr)
        return 1
    probe.start()
    _run(listener)
    return 0


def _run(listener: socket.socket) -> None:
    """Hands the socket over: Twisted's endpoint names would load plug-ins and write a cache."""
    listener.setblocking(False)
    in_flight = InFlight(application)
    ports = []

    def adopt() -> None:
        descriptor, family = listener.fileno(), listener.family
        ports.append(reactor.adoptStreamPort(descriptor, family, server.http_factory))
        listener.close()
        log.info("listening on %s:%d", *ports[0].socket.getsockname()[:2])

    server = Server(
        in_flight,
        endpoints=["adopted"],
        signal_handlers=False,
        ready_callable=adopt,
        http_timeout=REQUEST_SECONDS_MAX,
        server_name="platform",
        verbosity=0,
    )
    server.endpoints = []  # Daphne insists on one but `adopt` listens
    for number in (signal.SIGTERM, signal.SIGINT):
        twisted_loop.add_signal_handler(number, _begin_stop, ports, in_flight)
    server.run()
    log.info("stopped")


def _begin_stop(ports: list, in_flight: InFlight) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        twisted_loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)  # the end is bounded; a second signal adds nothing
    log.info("stopping; %d requests in flight", in_flight.count)
    twisted_loop.create_task(_drain(ports, in_flight))


async def _drain(ports: list, in_flight: InFlight) -> None:
    for port in ports:
        port.stopListening()
    deadline = twisted_loop.time() + DRAIN_SECONDS
    while in_flight.count and twisted_loop.time() < deadline:
        await asyncio.sleep(0.02)
    await asyncio.sleep(FLUSH_SECONDS)
    reactor.stop()
