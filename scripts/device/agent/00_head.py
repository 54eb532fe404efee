"""The device agent: does on the device what must be atomic, durable or under a kernel lock.

Contract: docs/agent.md. Standard library only, Python 3.8 or later, no shell. `bootstrap.py` executes this source
with STREAM (the one buffered reader of standard input), HEADER (the session's first line), ROOT, SOURCE itself, CODE
(what it compiles to) and KEY (what that is kept under, None when it already is) as globals.

Three rules hold the file together:
- The main thread performs operations one after the other; a reader thread only listens, so that a cancel and the
  end of the connection are heard at any time. Nothing is interrupted by force: long work asks `session.check()`.
- Whatever must survive a kill -9 or a power cut is written beside its place, fsynced and renamed.
- A child leaves its record (pid and kernel start time) itself, before it executes its program: there is no moment at
  which something runs and no later session can find it.
"""

import codecs
import collections
import contextlib
import ctypes
import errno
import fcntl
import functools
import grp
import hashlib
import importlib
import io
import json
import marshal
import math
import os
import pwd
import queue
import re
import resource
import select
import signal
import stat
import struct
import sys
import threading
import time
import zlib


class Later:
    """A module that few sessions need: it is loaded when it is used first."""

    def __init__(self, name):
        self.name = name

    def __getattr__(self, attribute):
        return getattr(importlib.import_module(self.name), attribute)


base64, csv, datetime, difflib, hmac = map(Later, ('base64', 'csv', 'datetime', 'difflib', 'hmac'))
platform, random = map(Later, ('platform', 'random'))
shlex, shutil, socket, sqlite3, subprocess = map(Later, ('shlex', 'shutil', 'socket', 'sqlite3', 'subprocess'))
tempfile, zipfile = map(Later, ('tempfile', 'zipfile'))
http_client, urllib_parse = map(Later, ('http.client', 'urllib.parse'))

KIB = 1024
MIB = 1024 * KIB

MAX_LINE_BYTES = 64 * MIB
MAX_OUTPUT_READ_BYTES = 8 * KIB  # at most six times as long once escaped in JSON: below 64 KiB a message
MAX_CAPTURE_BYTES = MIB
MAX_READ_BYTES = MIB
MAX_TAIL_LINES = 20
MAX_TAIL_LINE_CHARS = 400
MAX_COMMAND_CHARS = 400
MAX_CLIENT_CHARS = 200
MAX_LOG_BYTES = 10 * MIB
MAX_LOG_TAIL_BYTES = 64 * KIB
MAX_JOURNAL_BYTES = 10 * MIB
MAX_HEALTH_BODY_BYTES = MIB
MAX_HOLDER_BYTES = KIB
MAX_WHEEL_BYTES = 4 * KIB * MIB
COPY_CHUNK_BYTES = MIB
MAX_FRAME_BYTES = MIB
MAX_COPY_THREADS = 4
MAX_COPY_BYTES = KIB * MIB
FLUSH_BYTES = 32 * MIB
TELL_BYTES = 4 * MIB
TELL_FIRST = 16

DEFAULT_TIMEOUT_S = 6 * 3600.0
DEFAULT_GRACE_S = 5.0
SERVICE_GRACE_S = 10.0
KILL_WAIT_S = 10.0
PORT_FREE_S = 5.0
READY_S = 30.0
ALIVE_S = 0.5
POLL_S = 0.05
PUMP_S = 0.25
TELL_S = 0.05
REAP_S = 0.005
HEALTH_S = 2.0
PORT_ANSWERS_S = 0.3
QUIESCE_S = 60.0
SAFE_TO_STOP_S = 15.0
ORPHAN_GRACE_S = 2.0
DATABASE_BUSY_S = 30.0
LOCK_TRIES = 5
LOCK_RETRY_S = 0.02
TICK_S = 0.01

KEPT_FAILED_RECORDS = 20
KEPT_SAVES = 20
KEPT_COPIES = 3
KEPT_RUNS = 200

ROOM_MARGIN_BYTES = 8 * MIB
ROOM_MARGIN_INODES = 64

NEVER_PORTS = (8000, 5173)
LOWEST_PORT = 20000
EPHEMERAL_START = 32768
PORT_TRIES = 200

LINUX = sys.platform.startswith('linux')
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
MARK = 'SLIPWAY_SERVICE'
DATABASE_SUFFIXES = ('-wal', '-shm', '-journal')
DATABASE_FILES = ('',) + DATABASE_SUFFIXES

NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

RELEASE_ID = re.compile(r'[0-9a-f]{16}\Z')
DIGEST_HEX = re.compile(r'[0-9a-f]{64}\Z')
PLAIN_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,79}\Z')

# The folders that hold secrets or data are closed to others; the rest may be looked at.
CLOSED_FOLDERS = ('state', 'shared', 'copies', 'run', 'logs', 'blobs', 'incoming')


class Failed(Exception):
    """An expected failure: data with a literal reason of lib/model/failure.ts."""

    def __init__(self, reason, **fields):
        Exception.__init__(self, reason)
        self.failure = dict(fields, reason=reason)


class ConnectionEnded(Exception):
    """Standard input ended in the middle of a message."""


def refused(code, detail):
    """What the device will not do, with a code for programs and a detail for people."""
    return Failed('device-refused', code=code, detail=detail)
