"""A small HTTP server on asyncio: one request a connection, everything bounded."""

import asyncio
import json
import logging
import signal
import sys
from http import HTTPStatus
from pathlib import Path

from .api import Api
from .orders import OrderBook

log = logging.getLogger("exchange")
HEAD_MAX_BYTES = 16 * 1024
BODY_MAX_BYTES = 64 * 1024
REQUEST_SECONDS_MAX = 10
MATCH_SECONDS = 0.1


class BadRequest(Exception):
    """Not HTTP as spoken here."""


def run(host: str, port: int, api_key: str, fill_delay: float, state_file: Path) -> int:
    """Serves until SIGTERM or SIGINT; 1 if the address is taken."""
    book = OrderBook(state_file, fill_delay)
    try:
        asyncio.run(_serve(host, port, Api(book, api_key), book))
    except OSError as error:
        print(f"cannot listen on {host}:{port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


async def _serve(host: str, port: int, api: Api, book: OrderBook) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    async def handle(reader, writer):
        await _converse(api, reader, writer)

    server = await asyncio.start_server(handle, host, port, limit=HEAD_MAX_BYTES)
    log.info("listening on %s:%d", *server.sockets[0].getsockname()[:2])
    while not stop.is_set():
        book.match()
        try:
            await asyncio.wait_for(stop.wait(), MATCH_SECONDS)
        except asyncio.TimeoutError:
            continue
    server.close()
    log.info("stopped")


async def _converse(api: Api, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        request = await asyncio.wait_for(_read(reader), REQUEST_SECONDS_MAX)
        status, body = api.answer(*request)
        await _reply(writer, status, body)
    except BadRequest as error:
        await _reply(writer, 400, {"detail": str(error)})
    except (asyncio.TimeoutError, asyncio.IncompleteReadError, ConnectionError):
        pass  # the caller went away
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes]:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise BadRequest("the headers are too long") from None
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    words = first.split(" ")
    if len(words) != 3:
        raise BadRequest("not an HTTP request")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > BODY_MAX_BYTES:
        raise BadRequest("the body is too long, or its length is unclear")
    return words[0], words[1], headers, await reader.readexactly(int(length))


async def _reply(writer: asyncio.StreamWriter, status: int, body: dict) -> None:
    payload = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(payload)}\r\n"
        "Connection: close\r\n\r\n"
    )
    writer.write(head.encode() + payload)
    await writer.drain()
