"""The device agent: does on the device what must be atomic, durable or under a kernel lock.

Contract: docs/agent.md. Standard library only, Python 3.8 or later, no shell. `bootstrap.py` executes this source
with STREAM (the one buffered reader of standard input), HEADER (the session's first line), ROOT and RUN as globals.

Three rules hold the file together:
- The main thread performs operations one after the other; a reader thread only listens, so that a cancel and the
  end of the connection are heard at any time. Nothing is interrupted by force: long work asks `session.check()`.
- Whatever must survive a kill -9 or a power cut is written beside its place, fsynced and renamed.
- A child leaves its record (pid and kernel start time) itself, before it executes its program: there is no moment at
  which something runs and no later session can find it.
"""

import base64
import codecs
import collections
import contextlib
import csv
import ctypes
import errno
import fcntl
import hashlib
import hmac
import http.client
import io
import json
import os
import platform
import queue
import random
import re
import resource
import select
import shlex
import shutil
import signal
import socket
import sqlite3
import stat
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
import zipfile
from datetime import datetime, timezone

KIB = 1024
MIB = 1024 * KIB

MAX_LINE_BYTES = 64 * MIB
MAX_OUTPUT_READ_BYTES = 8 * KIB  # at most six times as long once escaped in JSON: below 64 KiB a message
MAX_CAPTURE_BYTES = MIB
MAX_READ_BYTES = MIB
MAX_TAIL_LINES = 20
MAX_TAIL_LINE_CHARS = 400
MAX_COMMAND_CHARS = 400
MAX_LOG_BYTES = 10 * MIB
MAX_LOG_TAIL_BYTES = 64 * KIB
MAX_JOURNAL_BYTES = 10 * MIB
MAX_HEALTH_BODY_BYTES = MIB
MAX_HOLDER_BYTES = KIB
MAX_WHEEL_BYTES = 4 * KIB * MIB
COPY_CHUNK_BYTES = MIB

DEFAULT_TIMEOUT_S = 6 * 3600.0
DEFAULT_GRACE_S = 5.0
SERVICE_GRACE_S = 10.0
KILL_WAIT_S = 10.0
PORT_FREE_S = 5.0
READY_S = 30.0
ALIVE_S = 0.5
POLL_S = 0.05
PUMP_S = 0.25
REAP_S = 0.005
HEALTH_S = 2.0
PORT_ANSWERS_S = 0.3
QUIESCE_S = 60.0
SAFE_TO_STOP_S = 15.0
ORPHAN_GRACE_S = 2.0
DATABASE_BUSY_S = 30.0
LOCK_TRIES = 5
LOCK_RETRY_S = 0.02

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


# ---------------------------------------------------------------- files

def now():
    """ISO time in UTC, to the millisecond."""
    return datetime.now(timezone.utc).isoformat(timespec='milliseconds').replace('+00:00', 'Z')


def sync_folder(path):
    """Makes a rename or a removal in a folder survive a power cut."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def beside(path):
    """A hidden name beside `path`, always the same, so that an interrupted write leaves at most one file."""
    folder, name = os.path.split(path)
    return os.path.join(folder, '.slipway-' + hashlib.sha256(os.fsencode(name)).hexdigest()[:16])


def sync_tree(top):
    """
    Makes a whole tree durable at once: an fsync for each of thousands of files takes many times as long. Where the
    kernel cannot flush one file system and say how it went, each file is flushed.
    """
    fd = os.open(top, os.O_RDONLY | os.O_CLOEXEC)
    try:
        flush = getattr(ctypes.CDLL(None, use_errno=True), 'syncfs', None)
        if flush is not None:
            if flush(fd) != 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), top)
            return
    finally:
        os.close(fd)
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                sync_file(path)
        sync_folder(folder)


def sync_file(path):
    """Flushes one file's content."""
    with open(path, 'rb') as file:
        os.fsync(file.fileno())


def unlink(path):
    """Removes a file or link, if it is there; says whether it was."""
    try:
        os.unlink(path)
        return True
    except FileNotFoundError:
        return False


def unlink_durably(path):
    """Removes a file or link, if it is there, for good."""
    if unlink(path):
        sync_folder(os.path.dirname(path))


def create(path, mode=0o600):
    """Opens a new file that nobody else can have prepared: never through a link."""
    unlink(path)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)


def write_durably(path, content, mode=0o600, owner=None):
    """Replaces a file whole: written beside it, fsynced, renamed, the folder fsynced."""
    temporary = beside(path)
    try:
        with os.fdopen(create(temporary), 'wb') as file:
            file.write(content)
            file.flush()
            if owner is not None:
                chown(file.fileno(), owner)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        unlink(temporary)
        raise
    sync_folder(os.path.dirname(path))


def chown(target, owner):
    """Gives a file its owner back where we may; an ordinary user may not, and owns everything anyway."""
    try:
        os.chown(target, owner[0], owner[1])
    except PermissionError:
        pass


def link_durably(path, target):
    """Replaces a link by rename: there is no moment without one (`ln -s` would follow a link to a folder)."""
    temporary = beside(path)
    unlink(temporary)
    os.symlink(target, temporary)
    try:
        os.rename(temporary, path)
    except BaseException:
        unlink(temporary)
        raise
    sync_folder(os.path.dirname(path))


def write_json(path, value):
    """A record: durable, 0600."""
    write_durably(path, json.dumps(value).encode() + b'\n')


def read_json(path):
    """A record, or None when it is missing or is no JSON."""
    try:
        with open(path, 'rb') as file:
            return json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def names_in(folder):
    """The names in a folder, sorted; none when there is no folder."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def remove_tree(path):
    """Removes a tree, file or link, also below folders that forbid it; nothing when it is gone."""
    if not os.path.lexists(path):
        return
    if os.path.islink(path) or not os.path.isdir(path):
        os.unlink(path)
        return
    for folder, _, _ in os.walk(path):
        if not os.access(folder, os.W_OK | os.X_OK):
            os.chmod(folder, 0o700)
    shutil.rmtree(path)


def file_digest(path):
    """sha256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for chunk in iter(lambda: file.read(COPY_CHUNK_BYTES), b''):
            digest.update(chunk)
    return digest.hexdigest()


def copy_hashed(source, target_fd):
    """Copies an open file and returns the sha256 of what was copied."""
    digest = hashlib.sha256()
    for chunk in iter(lambda: source.read(COPY_CHUNK_BYTES), b''):
        digest.update(chunk)
        write_all(target_fd, chunk)
    return digest.hexdigest()


def write_all(fd, content):
    """`os.write` until everything is out."""
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view):]


def tree_digest(top):
    """A digest of a tree's list: paths, kinds, sizes, modes and link targets; bytecode caches do not count."""
    lines = []
    list_tree(top, '', lines)
    return '%d-%s' % (len(lines), hashlib.sha256(os.fsencode('\0'.join(lines))).hexdigest()[:32])


def list_tree(folder, prefix, lines):
    """One line for each entry below a folder; plain string work, for `status` looks at thousands."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            if entry.name == '__pycache__':
                continue
            found = entry.stat(follow_symlinks=False)
            path, extent = prefix + entry.name, found.st_size
            if entry.is_symlink():
                extent = os.readlink(entry.path)
            elif entry.is_dir(follow_symlinks=False):
                extent = ''
                list_tree(entry.path, path + '/', lines)
            lines.append('%s\0%o\0%s' % (path, found.st_mode, extent))


class Root:
    """The folder on the device below which everything lies."""

    def __init__(self, path):
        wanted = os.path.expanduser(path)
        if not os.path.isabs(wanted):
            raise refused('root-unwritable', 'the root must be absolute or begin with ~/: %s' % path)
        try:
            os.makedirs(wanted, 0o755, exist_ok=True)
        except OSError as error:
            raise refused('root-unwritable', 'cannot make %s: %s' % (wanted, error.strerror))
        self.path = os.path.realpath(wanted)
        if not os.path.isdir(self.path) or not os.access(self.path, os.W_OK | os.X_OK):
            raise refused('root-unwritable', '%s is not a folder that %s may write' % (self.path, 'this user'))
        self.mark = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]

    def at(self, *parts):
        """One of the agent's own paths."""
        return os.path.join(self.path, *parts)

    def folder(self, *parts):
        """One of the agent's own folders, made when it is not there."""
        path = self.path
        for part in parts:
            path = os.path.join(path, part)
            try:
                os.mkdir(path, 0o700 if parts[0] in CLOSED_FOLDERS else 0o755)
                sync_folder(os.path.dirname(path))
            except FileExistsError:
                pass
        return path

    def holds(self, path):
        """Whether a real path is the root or lies below it."""
        return path == self.path or path.startswith(self.path + os.sep)

    def entry(self, path):
        """The place that a message names, its own last link not followed; refuses what leads out of the root."""
        sound = isinstance(path, str) and path not in ('', '.') and '\0' not in path
        if not sound or os.path.isabs(path) or '..' in path.split('/'):
            raise refused('outside-root', 'not a path below the root: %r' % (path,))
        whole = os.path.normpath(os.path.join(self.path, path))
        parent = os.path.realpath(os.path.dirname(whole))
        if whole == self.path or not self.holds(parent):
            raise refused('outside-root', '%r leads out of the root' % (path,))
        return os.path.join(parent, os.path.basename(whole))

    def followed(self, path):
        """The same with every link followed, for reading and for working folders."""
        if path in (None, '', '.'):
            return self.path
        real = os.path.realpath(self.entry(path))
        if not self.holds(real):
            raise refused('outside-root', '%r leads out of the root' % (path,))
        return real

    def relative(self, path):
        """A path for people and for failures: relative to the root where it lies below it."""
        path = os.fsdecode(path) if isinstance(path, bytes) else str(path)
        return os.path.relpath(path, self.path) if self.holds(path) else path


def text_arg(args, name):
    """A required text among the arguments."""
    value = args.get(name)
    if not isinstance(value, str):
        raise refused('bad-request', '%s must be a text' % name)
    return value


def release_arg(args, name='release'):
    """A required release id."""
    value = args.get(name)
    if not isinstance(value, str) or not RELEASE_ID.match(value):
        raise refused('bad-request', '%s must be a release id of 16 hexadecimal digits' % name)
    return value


def name_arg(args):
    """A required name that is safe as a file name."""
    value = args.get('name')
    if not isinstance(value, str) or not PLAIN_NAME.match(value):
        raise refused('bad-request', 'name must be a plain name')
    return value


# ---------------------------------------------------------------- session

class Message:
    """One operation that was asked for, and whether it is to end."""

    def __init__(self, data):
        self.id = data.get('id')
        self.op = data.get('op')
        self.args = data['args'] if isinstance(data.get('args'), dict) else {}
        self.left = data['bytes'] if isinstance(data.get('bytes'), int) else 0
        self.cancelled = threading.Event()
        self.signal = 'SIGTERM'
        self.consumed = threading.Event()


class Session:
    """The connection, the root, and what this agent holds while it lives."""

    def __init__(self, stream, out, header, root):
        self.stream = stream
        self.out = out
        self.root = root
        self.run = header['run']
        self.public_port = header.get('publicPort')
        self.rehearsal = bool(header.get('rehearsal'))
        self.changing = False
        self.messages = queue.SimpleQueue()
        self.pending = {}
        self.message = None
        self.ending = None
        self.exit_status = 0
        self.sending = threading.Lock()
        self.wake_out, self.wake_in = os.pipe()
        os.set_blocking(self.wake_in, False)
        os.set_blocking(self.wake_out, False)
        self.locks = {}
        self.children = {}
        self.spawned = 0

    def send(self, message):
        """One line to the client; a connection that is gone ends the session."""
        line = json.dumps(message).encode() + b'\n'
        try:
            with self.sending:
                write_all(self.out, line)
        except OSError:
            self.end('SIGHUP')

    def output(self, stream, text):
        """Output of what runs."""
        if text:
            self.send({'id': self.message.id, 'output': stream, 'text': text})

    def end(self, why):
        """Cancels everything; the main thread then leaves its loop."""
        self.ending = self.ending or why
        for message in list(self.pending.values()):
            self.cancel(message, why)
        self.messages.put(None)

    def cancel(self, message, why):
        """Asks one operation to end."""
        message.signal = why
        message.cancelled.set()
        try:
            os.write(self.wake_in, b'!')
        except OSError:
            pass  # the pipe is full of earlier requests: it will wake anyway

    def check(self):
        """Fails when the operation under way is to end: called where stopping leaves nothing half done."""
        if self.message.cancelled.is_set():
            raise Failed('cancelled', signal=self.message.signal)

    def rest(self, seconds):
        """Waits; ends early with a failure when cancelled."""
        self.message.cancelled.wait(seconds)
        self.check()

    def listen(self):
        """The reader thread: hands operations over, and is silent while one of them reads its own bytes."""
        try:
            while self.hear():
                pass
        except (ConnectionEnded, OSError, ValueError) as error:
            if isinstance(error, ValueError):
                self.send({'id': None, 'ok': False, 'failure': refused('bad-request', 'not a message').failure})
        self.end('SIGHUP')

    def hear(self):
        """One message; False at the end."""
        line = self.stream.readline(MAX_LINE_BYTES)
        if not line.endswith(b'\n'):
            return False
        data = json.loads(line)
        if not isinstance(data, dict):
            raise ValueError('not an object')
        if 'cancel' in data:
            found = self.pending.get(data['cancel'])
            if found is not None:
                self.cancel(found, 'SIGTERM')
            return True
        message = Message(data)
        self.pending[message.id] = message
        self.messages.put(message)
        if message.left > 0:
            message.consumed.wait()
        return self.ending is None

    def take(self, size):
        """Up to `size` of the raw bytes that follow the operation's line."""
        chunk = self.stream.read1(min(size, self.message.left))
        if not chunk:
            raise ConnectionEnded()
        self.message.left -= len(chunk)
        return chunk

    def drain(self):
        """Reads what the operation left of its bytes, so that the next line is a line again."""
        try:
            while self.message.left > 0:
                self.take(COPY_CHUNK_BYTES)
        except ConnectionEnded:
            self.end('SIGHUP')
        self.message.consumed.set()


def failure_of(error, session, op):
    """Translates what Python raised into one of the literal reasons."""
    if isinstance(error, Failed):
        return error.failure
    if isinstance(error, ConnectionEnded):
        return {'reason': 'cancelled', 'signal': 'SIGHUP'}
    if isinstance(error, OSError) and error.errno is not None:
        code = errno.errorcode.get(error.errno, str(error.errno))
        path = session.root.relative(error.filename) if error.filename is not None else ''
        return {'reason': 'file-system', 'code': code, 'path': path, 'operation': op}
    if isinstance(error, sqlite3.Error):
        return sqlite_failure(error, op)
    return {'reason': 'broken', 'message': '%s: %s: %s' % (op, type(error).__name__, error)}


def sqlite_failure(error, op):
    """SQLite's own failures; a full disk is the file system's. Before Python 3.11 there is only the library's text."""
    name = getattr(error, 'sqlite_errorname', None)
    if name == 'SQLITE_FULL' or (name is None and 'disk is full' in str(error)):
        return {'reason': 'file-system', 'code': 'ENOSPC', 'path': 'shared/data', 'operation': op}
    return refused('database-error', str(error)).failure


def perform(session, message):
    """Carries out one operation and answers it."""
    session.message = message
    operation = OPERATIONS.get(message.op)
    try:
        if operation is None:
            raise refused('unknown-operation', 'there is no operation %r' % (message.op,))
        session.check()
        reap(session)
        if operation.changes:
            take_turn(session, operation.claims)
        value, failure = operation.act(session, message.args), None
    except Exception as error:  # every failure is an answer, also a defect
        value, failure = None, failure_of(error, session, message.op)
    session.drain()
    if operation is not None and operation.changes:
        journal(session, operation, message, failure)
    session.pending.pop(message.id, None)
    if failure is None:
        session.send({'id': message.id, 'ok': True, 'value': value})
    else:
        session.send({'id': message.id, 'ok': False, 'failure': failure})


def take_turn(session, claims):
    """
    A run must not go on changing what a later run built on: what it would put back is no longer what it left. Every
    run is recorded with the turn at which it began; one that claims begins the next turn. A session is refused at its
    first change alone: one that is under way may finish, and put back, what it began.
    """
    path = os.path.join(session.root.folder('state'), 'runs.json')
    try:
        with only_one(path + '.lock'):
            found = read_json(path)
            found = found if isinstance(found, dict) else {'turn': 0, 'last': None, 'runs': {}}
            begun = found['runs'].get(session.run)
            if not session.changing and begun is not None and begun < found['turn']:
                raise refused('superseded', 'run %s changed this device after run %s did' % (found['last'], session.run))
            claims = claims and found['last'] != session.run
            if claims:
                found.update(turn=found['turn'] + 1, last=session.run)
            if claims or begun is None:
                found['runs'].pop(session.run, None)  # the latest last: the first ones are forgotten first
                found['runs'][session.run] = found['turn']
                found['runs'] = dict(list(found['runs'].items())[-KEPT_RUNS:])
                write_json(path, found)
    except OSError as error:
        # Like the journal: an undo must work on a full disk.
        session.output('stderr', 'the run could not be recorded: %s\n' % error.strerror)
    session.changing = True


@contextlib.contextmanager
def only_one(path):
    """Excludes other agents for the moment that a change of a shared record takes."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def journal(session, operation, message, failure):
    """One fsynced line. A journal that cannot be written says so and does not undo what was done."""
    line = json.dumps({
        'at': now(), 'run': session.run, 'op': message.op, 'args': operation.told(message.args),
        'outcome': 'ok' if failure is None else told_failure(failure),
    })
    try:
        path = os.path.join(session.root.folder('state'), 'journal.jsonl')
        if os.path.exists(path) and os.path.getsize(path) > MAX_JOURNAL_BYTES:
            os.rename(path, path + '.1')
        append_line(path, line.encode() + b'\n')
    except OSError as error:
        session.output('stderr', 'the journal could not be written: %s\n' % error.strerror)


def append_line(path, line):
    """Appends; a last line that was cut short stays a line of its own."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b'\n':
            line = b'\n' + line
        write_all(fd, line)
        os.fsync(fd)
    finally:
        os.close(fd)


def told_failure(failure):
    """A failure for the journal: without output, which may hold secrets."""
    return {key: value for key, value in failure.items() if key not in ('tail', 'detail', 'command', 'message')}


# ---------------------------------------------------------------- processes

Process = collections.namedtuple('Process', 'group session started')


def boot():
    """Names this boot: start times are counted from it."""
    try:
        with open('/proc/sys/kernel/random/boot_id') as file:
            return file.read()[:8]
    except OSError:
        return 'boot'


BOOT = boot()


def parse_stat(text):
    """A line of /proc/PID/stat; None for a process that has ended and waits to be reaped."""
    fields = text.rpartition(')')[2].split()
    if fields[0] in 'ZXx':
        return None
    return Process(int(fields[2]), int(fields[3]), '%s-%s' % (BOOT, fields[19]))


def process(pid):
    """A running process, or None."""
    if not LINUX:
        return processes_by_ps().get(pid)
    try:
        with open('/proc/%d/stat' % pid, errors='replace') as file:
            return parse_stat(file.read())
    except (OSError, IndexError):
        return None


def processes():
    """All running processes by pid."""
    if not LINUX:
        return processes_by_ps()
    found = {int(name): process(int(name)) for name in os.listdir('/proc') if name.isdigit()}
    return {pid: one for pid, one in found.items() if one is not None}


def processes_by_ps():
    """Where there is no /proc: the group stands for the session, the start time is to the second."""
    listing = subprocess.run(
        ['ps', '-axo', 'pid=,pgid=,stat=,lstart='], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True,
        close_fds=True, start_new_session=True, env={'PATH': DEFAULT_PATH, 'LC_ALL': 'C'})
    found = {}
    for line in listing.stdout.decode(errors='replace').splitlines():
        pid, group, state, started = line.split(None, 3)
        if not state.startswith('Z'):
            found[int(pid)] = Process(int(group), int(group), started.strip())
    return found


def alive(record):
    """Whether the recorded process still is that process: a pid alone may have been given to another."""
    found = process(record['pid']) if record and record.get('pid') else None
    return found is not None and found.started == record['started']


def environment_of(pid):
    """A process's environment as it began; empty where it may not be read."""
    try:
        with open('/proc/%d/environ' % pid, 'rb') as file:
            pairs = (os.fsdecode(pair).partition('=') for pair in file.read().split(b'\0'))
            return {name: value for name, _, value in pairs}
    except OSError:
        return {}


def session_members(record, table):
    """
    The processes of a recorded leader's session, also after the leader ended: a pid is not given away while a session
    bears its number. Another process under the leader's pid, or another boot, means that the session is over.
    """
    if not record or not record.get('pid'):
        return set()
    pid, started = record['pid'], record['started']
    leader = table.get(pid)
    if (leader is not None and leader.started != started) or (LINUX and not started.startswith(BOOT)):
        return set()
    return {member for member, found in table.items() if found.session == pid or found.group == pid}


def end_processes(find, grace_s, rest):
    """TERM, then KILL after the grace time, until `find` finds nothing; whoever is left is returned."""
    found = find()
    if not found:
        return found
    send_signal(found, signal.SIGTERM)
    send_signal(found, signal.SIGCONT)  # a stopped process takes its TERM only when it goes on
    if wait_gone(find, grace_s, rest):
        return set()
    deadline = time.monotonic() + KILL_WAIT_S
    left = find()
    while left and time.monotonic() < deadline:
        send_signal(left, signal.SIGKILL)
        rest(POLL_S)
        left = find()
    return left


def wait_gone(find, seconds, rest):
    """Whether everything that `find` finds ends by itself in time."""
    deadline = time.monotonic() + seconds
    pause = 0.005
    while find():
        if time.monotonic() >= deadline:
            return False
        rest(pause)
        pause = min(pause * 2, POLL_S)
    return True


def send_signal(pids, number):
    """To each that is still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def reap(session):
    """Takes notice of children that ended: otherwise their pids stay taken for as long as the agent lives."""
    for pid, child in list(session.children.items()):
        if child.poll() is not None:
            del session.children[pid]


def basic_environment():
    """What every child gets."""
    return {
        'PATH': os.environ.get('PATH') or DEFAULT_PATH,
        'HOME': os.environ.get('HOME') or os.path.expanduser('~'),
        'LANG': os.environ.get('LANG') or 'C.UTF-8',
    }


def before_exec(record_path, record):
    """What the child does between fork and exec: its record first, then a plain process's settings."""

    def prepare():
        pid = os.getpid()
        own = process(pid)
        with os.fdopen(create(beside(record_path)), 'w') as file:
            json.dump(dict(record, pid=pid, started=own.started if own else ''), file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(beside(record_path), record_path)
        for number in SIGNALS + (signal.SIGQUIT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    return prepare


def spawn(argv, cwd, env, record_path, record, out, err):
    """Starts a program in its own session; the record exists before its first instruction."""
    if not os.path.isdir(cwd):
        raise FileNotFoundError(errno.ENOENT, 'no such folder', cwd)
    try:
        return subprocess.Popen(
            argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err, close_fds=True,
            start_new_session=True, preexec_fn=before_exec(record_path, record))
    except FileNotFoundError:
        unlink(record_path)
        raise Failed('command-not-found', command=argv[0])
    except subprocess.SubprocessError:
        unlink(beside(record_path))  # the child could not leave its record: most likely the disk is full
        raise OSError(errno.ENOSPC, 'the record of the process could not be written', record_path)
    except BaseException:
        unlink(record_path)
        raise


def shown(argv):
    """A command for a failure's text."""
    return ' '.join(shlex.quote(part) for part in argv)[:MAX_COMMAND_CHARS]


class Running:
    """A command under way: its pipes, the end of its output, and what is captured."""

    def __init__(self, session, child, capture):
        self.session = session
        self.child = child
        self.capture = capture
        self.captured = bytearray()
        self.tail = collections.deque(maxlen=MAX_TAIL_LINES)
        self.rests = {'stdout': '', 'stderr': ''}
        decoder = codecs.getincrementaldecoder('utf-8')  # keeps a character that a read cut in two
        self.pipes = {
            child.stdout.fileno(): ('stdout', decoder('replace')),
            child.stderr.fileno(): ('stderr', decoder('replace')),
        }

    def pump(self, seconds):
        """Passes on what there is to read, waiting at most `seconds` for it."""
        wake = self.session.wake_out
        ready, _, _ = select.select(list(self.pipes) + [wake], [], [], max(0, seconds))
        for fd in ready:
            if fd == wake:
                drain_pipe(wake)
            else:
                self.read(fd)

    def read(self, fd):
        """One read of one pipe."""
        stream, decoder = self.pipes[fd]
        chunk = os.read(fd, MAX_OUTPUT_READ_BYTES)
        text = decoder.decode(chunk, final=not chunk)
        if not chunk:
            del self.pipes[fd]
        if self.capture and stream == 'stdout' and len(self.captured) <= MAX_CAPTURE_BYTES:
            self.captured += chunk
        self.remember(stream, text)
        self.session.output(stream, text)

    def remember(self, stream, text):
        """Keeps the last lines of both streams for a failure."""
        lines = (self.rests[stream] + text).split('\n')
        self.rests[stream] = lines.pop()[-MAX_TAIL_LINE_CHARS:]
        self.tail.extend(line[:MAX_TAIL_LINE_CHARS] for line in lines)

    def last_lines(self):
        """The last lines, an unfinished one included."""
        return (list(self.tail) + [rest for rest in self.rests.values() if rest])[-MAX_TAIL_LINES:]


def drain_pipe(fd):
    """Empties the pipe that wakes a wait."""
    try:
        while os.read(fd, KIB):
            pass
    except BlockingIOError:
        pass


def execute(session, argv, cwd, env, timeout_s=DEFAULT_TIMEOUT_S, grace_s=DEFAULT_GRACE_S, capture=False, ok_exits=(0,)):
    """Runs a command to its end and returns what it printed; the end of it is the end of its whole session."""
    session.spawned += 1
    record_path = os.path.join(session.root.folder('state', 'commands'), '%d-%d.json' % (os.getpid(), session.spawned))
    agent = process(os.getpid())
    record = {'agent': {'pid': os.getpid(), 'started': agent.started if agent else ''}}
    child = spawn(argv, cwd, env, record_path, record, subprocess.PIPE, subprocess.PIPE)
    with child.stdout, child.stderr:
        running = Running(session, child, capture)
        why = attend(session, running, timeout_s)
        leader = read_json(record_path) or {'pid': child.pid, 'started': ''}
        # What it left in the background ends with it: nothing may go on writing behind the next step's back.
        end_processes(lambda: session_left(child, leader), grace_s if why else 0.5, lambda s: running.pump(s))
        child.wait()
        finish_output(running)
    unlink(record_path)
    return conclude(session, argv, running, why, timeout_s, ok_exits)


def session_left(child, leader):
    """The members of a command's session that still run."""
    child.poll()
    return session_members(leader, processes())


def attend(session, running, timeout_s):
    """Pumps output until the command ends; returns 'cancelled' or 'timed-out' when it must be ended."""
    deadline = time.monotonic() + timeout_s
    while running.child.poll() is None:
        if session.message.cancelled.is_set():
            return 'cancelled'
        left = deadline - time.monotonic()
        if left <= 0:
            return 'timed-out'
        running.pump(min(left, PUMP_S if running.pipes else REAP_S))
    return None


def finish_output(running):
    """The rest of the output; a process that fled the session may keep a pipe open for ever, so not for long."""
    deadline = time.monotonic() + 1
    while running.pipes and time.monotonic() < deadline:
        running.pump(POLL_S)


def conclude(session, argv, running, why, timeout_s, ok_exits):
    """What came of a command."""
    status = running.child.returncode
    if why == 'cancelled':
        raise Failed('cancelled', signal=session.message.signal)
    if why == 'timed-out':
        raise Failed('timed-out', what=shown(argv), timeoutMs=int(timeout_s * 1000))
    if status < 0:
        name = signal.Signals(-status).name if -status in set(signal.Signals) else 'SIG%d' % -status
        raise Failed('killed-by-signal', command=shown(argv), signal=name, tail=running.last_lines())
    if status not in ok_exits:
        raise Failed('exit-non-zero', command=shown(argv), exitCode=status, tail=running.last_lines())
    if len(running.captured) > MAX_CAPTURE_BYTES:
        raise refused('output-too-long', '%s printed more than %d bytes' % (shown(argv), MAX_CAPTURE_BYTES))
    return running.captured.decode('utf-8', 'replace')


def sweep_commands(root):
    """Ends what the commands of a killed agent left running: the next steps must not race with them."""
    folder = root.at('state', 'commands')
    for name in names_in(folder):
        record = read_json(os.path.join(folder, name))
        if record is not None and alive(record.get('agent')):
            continue
        if record is not None:
            end_processes(lambda: session_members(record, processes()), ORPHAN_GRACE_S, time.sleep)
        unlink(os.path.join(folder, name))


# ---------------------------------------------------------------- facts

def device_facts(session, args):
    """What the device is, and which wheels it can use."""
    version = '%d.%d' % sys.version_info[:2]
    return {'architecture': platform.machine(), 'system': platform.system(), 'python': version, 'wheelPlatforms': wheel_platforms()}


def wheel_platforms():
    """pip's platform tags, best first, for the interpreter that services get."""
    machine = platform.machine()
    if sys.platform == 'darwin':
        return mac_platforms(machine)
    if struct.calcsize('P') == 4:  # a 32-bit interpreter on a 64-bit kernel
        machine = {'x86_64': 'i686', 'aarch64': 'armv7l'}.get(machine, machine)
    libc, minor = c_library()
    if libc == 'musl':
        return ['musllinux_1_%d_%s' % (number, machine) for number in range(minor, 0, -1)]
    tags = ['manylinux_2_%d_%s' % (number, machine) for number in range(minor, 16, -1)]
    return tags + (['manylinux2014_' + machine] if minor >= 17 else [])


def c_library():
    """The C library's name and minor version."""
    try:
        name, version = os.confstr('CS_GNU_LIBC_VERSION').split()
        return name, int(version.split('.')[1])
    except (AttributeError, ValueError, OSError, IndexError):
        return 'musl', musl_minor()


def musl_minor():
    """musl's loader says its version on standard error when it is run alone."""
    loader = next((name for name in names_in('/lib') if name.startswith('ld-musl-')), None)
    if loader is None:
        return 1
    said = subprocess.run(['/lib/' + loader], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, close_fds=True, start_new_session=True)
    found = re.search(rb'Version 1\.(\d+)', said.stderr)
    return int(found.group(1)) if found else 1


def mac_platforms(machine):
    """macOS: its major versions down to 11, then 10.16 to 10.9 on Intel."""
    major = int(platform.mac_ver()[0].split('.')[0] or 11)
    tags = []
    for number in range(max(major, 11), 10, -1):
        tags += ['macosx_%d_0_%s' % (number, machine), 'macosx_%d_0_universal2' % number]
    if machine == 'x86_64':
        for number in range(16, 8, -1):
            tags += ['macosx_10_%d_x86_64' % number, 'macosx_10_%d_universal2' % number]
    return tags


def device_room(session, args):
    """Whether a release fits: bytes, inodes, and memory of everything that will run."""
    disk = os.statvfs(session.root.path)
    data_bytes = database_bytes(session)
    needed = int(args.get('bytes') or 0) + 2 * data_bytes + ROOM_MARGIN_BYTES
    inodes = int(args.get('files') or 0) + ROOM_MARGIN_INODES
    memory = int(args.get('boardMb') or 0) if session.rehearsal else total_memory_mb()
    wanted = sum(one.get('memoryMb') or 0 for one in args.get('services') or []) + (args.get('reservedMb') or 0)
    room = {
        'freeBytes': disk.f_bavail * disk.f_frsize, 'neededBytes': needed,
        'freeInodes': disk.f_favail, 'neededInodes': inodes, 'memoryMb': memory,
    }
    short = []
    if room['freeBytes'] < needed:
        short.append('%d MB of disk free, %d MB needed' % (room['freeBytes'] // MIB, -(-needed // MIB)))
    if disk.f_files > 0 and room['freeInodes'] < inodes:  # file systems without a fixed number say 0
        short.append('%d inodes free, %d needed' % (room['freeInodes'], inodes))
    if wanted > memory:
        short.append('%d MB of memory, %d MB needed by the services and what is reserved' % (memory, wanted))
    for name, port in foreign_ports(session, args.get('services') or []):
        short.append('port %d of %s is in use by %s' % (port, name, holder_words(port)))
    return dict(room, enough=not short, short='; '.join(short))


def foreign_ports(session, services):
    """Services whose port somebody else has: told while all still runs, rather than between stop and start."""
    table = Table(session)
    kept = read_json(session.root.at('state', 'ports.json')) or {}
    for service in services:
        name, record = service['name'], table.records.get(service['name'])
        public = service.get('listens') == 'public' and session.public_port is not None
        port = session.public_port if public else kept.get(name)
        ours = (record['port'] == port) if record and table.runs(name) else bool(table.members(name))
        if service.get('listens') and port is not None and not ours and port_answers(port):
            yield name, port


def total_memory_mb():
    """The machine's memory."""
    return os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // MIB


def database_bytes(session):
    """Size of the database that the current release declares."""
    try:
        release = current_release(session)
        manifest = manifest_of(session, release) if release else None
    except Failed:
        return 0  # nothing that could be asked: what is there is for the next release to mend
    path = database_path(session, manifest) if manifest else None
    return database_size(path) if path else 0


def database_size(path):
    """Bytes of a database and of the log that a copy takes in."""
    return sum(os.path.getsize(path + suffix) for suffix in ('', '-wal') if os.path.exists(path + suffix))


# ---------------------------------------------------------------- write, link, remove, restore

def save_folder(session, step):
    """Where a step's prior state lies; the step's id becomes one file name."""
    name = urllib.parse.quote(step, safe='')
    return session.root.at('state', 'saved', session.run, name if not name.startswith('.') else '%2E' + name[1:])


def save(session, path, step):
    """Keeps what is at `path`, once: `what.json` is written last, so its presence means that the save is whole."""
    folder = save_folder(session, step)
    if os.path.exists(os.path.join(folder, 'what.json')):
        return
    session.root.folder(*os.path.relpath(folder, session.root.path).split(os.sep))
    write_json(os.path.join(folder, 'what.json'), dict(describe(path, folder), parents=missing_parents(session, path)))


def describe(path, folder):
    """What is at `path`; a file's content is copied, a tree is moved here only when it is removed."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return {'kind': 'absent'}
    if stat.S_ISLNK(found.st_mode):
        return {'kind': 'link', 'target': os.readlink(path)}
    if stat.S_ISDIR(found.st_mode):
        return {'kind': 'folder'}
    if not stat.S_ISREG(found.st_mode):
        raise refused('not-a-file', 'neither a file, a link nor a folder: %s' % path)
    content = os.path.join(folder, 'content')
    with open(path, 'rb') as source, os.fdopen(create(content), 'wb') as target:
        shutil.copyfileobj(source, target, COPY_CHUNK_BYTES)
        target.flush()
        os.fsync(target.fileno())
    return {'kind': 'file', 'mode': stat.S_IMODE(found.st_mode), 'owner': [found.st_uid, found.st_gid]}


def missing_parents(session, path):
    """The folders above `path` that are not there yet, deepest first: a restore takes them away again."""
    missing = []
    parent = os.path.dirname(path)
    while not os.path.lexists(parent):
        missing.append(session.root.relative(parent))
        parent = os.path.dirname(parent)
    return missing


def make_parents(session, path):
    """Makes the folders above `path`."""
    parent = os.path.relpath(os.path.dirname(path), session.root.path)
    if parent != '.':
        session.root.folder(*parent.split(os.sep))


def is_folder(path):
    """Whether a real folder, not a link to one, is there."""
    return os.path.isdir(path) and not os.path.islink(path)


def write(session, args):
    """Writes a file whole."""
    path, content = session.root.entry(args.get('path')), text_arg(args, 'content').encode('utf-8', 'surrogatepass')
    if is_folder(path):
        raise refused('not-a-file', '%s is a folder' % args['path'])
    save(session, path, text_arg(args, 'step'))
    make_parents(session, path)
    write_durably(path, content, int(args.get('mode') or 0o644) & 0o7777)


def link(session, args):
    """Makes or replaces a link; without a target, removes it."""
    path, target = session.root.entry(args.get('path')), args.get('target')
    if os.path.lexists(path) and not os.path.islink(path):
        raise refused('not-a-link', '%s is a real folder or file; move it away by hand' % args['path'])
    save(session, path, text_arg(args, 'step'))
    if target is not None:
        make_parents(session, path)
        link_durably(path, text_arg(args, 'target'))
    else:
        unlink_durably(path)


def remove(session, args):
    """Removes a file, link or tree; a tree is moved into the save, whole, by one rename."""
    path, step = session.root.entry(args.get('path')), text_arg(args, 'step')
    save(session, path, step)
    if not os.path.lexists(path):
        return
    kept = os.path.join(save_folder(session, step), 'tree')
    if is_folder(path) and not os.path.lexists(kept):
        os.rename(path, kept)
        sync_folder(os.path.dirname(kept))
    else:
        remove_tree(path)
    sync_folder(os.path.dirname(path))


def restore(session, args):
    """Puts back what a step found; without a save it does nothing, and it may be called again."""
    path, folder = session.root.entry(args.get('path')), save_folder(session, text_arg(args, 'saved'))
    what = read_json(os.path.join(folder, 'what.json'))
    if what is None:
        return
    if what['kind'] == 'folder':
        return restore_tree(path, os.path.join(folder, 'tree'))
    if is_folder(path):
        raise refused('not-a-file', '%s is a folder now; nothing was put back' % args['path'])
    if what['kind'] == 'absent':
        return restore_absent(session, path, what['parents'])
    make_parents(session, path)
    if what['kind'] == 'link':
        return link_durably(path, what['target'])
    with open(os.path.join(folder, 'content'), 'rb') as file:
        write_durably(path, file.read(), what['mode'], what['owner'])


def restore_tree(path, kept):
    """A tree comes back by the rename that took it away; no kept tree means that it never went."""
    if not os.path.lexists(kept):
        return
    remove_tree(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.rename(kept, path)
    sync_folder(os.path.dirname(path))


def restore_absent(session, path, parents):
    """There was nothing: not even the folders above it."""
    if not os.path.isdir(os.path.dirname(path)):
        return
    unlink(beside(path))
    unlink_durably(path)
    for parent in parents:
        try:
            os.rmdir(session.root.at(parent))
        except OSError:
            return  # something else lies in it now


def read(session, args):
    """A small text file, or None."""
    path = session.root.followed(args.get('path'))
    try:
        with open(path, 'rb') as file:
            content = file.read(MAX_READ_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(content) > MAX_READ_BYTES:
        raise refused('too-large', '%s is larger than %d bytes' % (args['path'], MAX_READ_BYTES))
    return {'content': content.decode('utf-8', 'replace')}


def run(session, args):
    """A command below the root."""
    argv = args.get('argv')
    if not isinstance(argv, list) or not argv or not all(isinstance(part, str) and '\0' not in part for part in argv):
        raise refused('bad-request', 'argv must be a list of texts')
    timeout_s = args['timeoutMs'] / 1000 if args.get('timeoutMs') else DEFAULT_TIMEOUT_S
    grace_s = args['graceMs'] / 1000 if args.get('graceMs') is not None else DEFAULT_GRACE_S
    env = dict(basic_environment(), **(args.get('env') or {}))
    capture = bool(args.get('capture'))
    stdout = execute(session, argv, session.root.followed(args.get('cwd')), env, timeout_s, grace_s, capture, args.get('okExits') or (0,))
    return {'stdout': stdout if capture else ''}


# ---------------------------------------------------------------- releases

def record_path(session, release):
    """Where a release's record lies."""
    return session.root.at('state', 'releases', release + '.json')


def read_record(session, release):
    """A release's record, or None."""
    return read_json(record_path(session, release))


def write_record(session, record):
    """Records a release's state, with the moment of the change."""
    session.root.folder('state', 'releases')
    write_json(record_path(session, record['id']), dict(record, at=now()))


def records(session):
    """All records, the oldest change first."""
    names = (name for name in names_in(session.root.at('state', 'releases')) if RELEASE_ID.match(name[:-5]) and name.endswith('.json'))
    found = (read_record(session, name[:-5]) for name in names)
    return sorted((one for one in found if one is not None), key=lambda one: (one['at'], one['id']))


def tree_of(session, release):
    """A release's folder."""
    return session.root.at('releases', release)


def manifest_of(session, release):
    """The manifest of a release that is on the device."""
    record = read_record(session, release)
    if record is None or not record.get('manifest') or not os.path.isdir(tree_of(session, release)):
        raise refused('no-such-release', 'release %s is not on this device' % release)
    return record['manifest']


def current_release(session):
    """What `current` points at, or None when it is not there."""
    path = session.root.at('current')
    if not os.path.lexists(path):
        return None
    target = os.readlink(path) if os.path.islink(path) else ''
    folder, _, release = target.rpartition('/')
    if folder != 'releases' or not RELEASE_ID.match(release):
        raise refused('current-not-a-link', 'current is no link to releases/ID%s; put it right by hand' % (': ' + target if target else ''))
    return release


def services_of(manifest):
    """The declared services, each after those that it names in `after`."""
    services = manifest['system'].get('services') or []
    named = {service['name']: service for service in services}
    ordered = []

    def visit(service, path):
        if service['name'] in path or service in ordered:
            return
        for name in service.get('after') or []:
            if name in named:
                visit(named[name], path + [service['name']])
        ordered.append(service)

    for service in services:
        visit(service, [])
    return ordered


def release_status(session, args):
    """What is on the device and what runs."""
    current = current_release(session)
    all_records = records(session)
    by_id = {record['id']: record for record in all_records}
    record = by_id.get(current)
    manifest = record.get('manifest') if record else None
    table = Table(session)
    states = service_states(session, manifest, table)
    return {
        'current': current,
        'state': record['state'] if record else None,
        'base': last_confirmed(session, [record] if record else []) or last_confirmed(session, all_records),
        'previous': last_confirmed(session, [one for one in all_records if one['id'] != current and not one.get('withdrawn')]),
        'intact': is_intact(session, record, table),
        'running': running_order(manifest, [one['name'] for one in states if table.members(one['name'])]),
        'releases': [{'id': one['id'], 'state': one['state'], 'at': one['at']} for one in all_records],
        'services': states,
        'lock': lock_state(session, 'deploy'),
    }


def last_confirmed(session, among):
    """The last confirmed release whose tree is there."""
    there = [one for one in among if one['state'] == 'confirmed' and os.path.isdir(tree_of(session, one['id']))]
    return max(there, key=lambda one: one['order'])['id'] if there else None


def is_intact(session, record, table):
    """Whether the current release is confirmed, whole, and everything that it declares runs and answers."""
    if record is None or record['state'] != 'confirmed' or not os.path.isdir(tree_of(session, record['id'])):
        return False
    if tree_digest(tree_of(session, record['id'])) != record.get('tree'):
        return False
    if not at_public_port(session, record['manifest'], table):
        return False
    return not health_problems(session, record['id'], record['manifest'], table)


def at_public_port(session, manifest, table):
    """Whether what is shown to the world is where the client wants it now."""
    names = [one['name'] for one in services_of(manifest) if one.get('listens') == 'public']
    ports = [table.records[name]['port'] for name in names if name in table.records]
    return session.public_port is None or all(port == session.public_port for port in ports)


def service_states(session, manifest, table):
    """Each declared service, and whatever else bears this root's mark or left a record."""
    services = services_of(manifest) if manifest else []
    names = [service['name'] for service in services]
    public = {service['name'] for service in services if service.get('listens') == 'public'}
    states = []
    for name in names + sorted(table.names() - set(names)):
        record, members = table.records.get(name), sorted(table.members(name))
        state = 'running' if table.runs(name) or (members and not record) else 'failed' if record else 'stopped'
        pid = record['pid'] if record and table.runs(name) else members[0] if members else None
        release = record['release'] if record else table.marked_release(members)
        port = record['port'] if record else None
        states.append({'name': name, 'state': state, 'release': release, 'pid': pid, 'port': port, 'public': name in public})
    return states


def running_order(manifest, names):
    """The order in which to stop: what the current release does not know first, then against the start order."""
    order = [service['name'] for service in services_of(manifest)] if manifest else []
    strangers = [name for name in names if name not in order]
    return strangers + [name for name in reversed(order) if name in names]


def release_known(session, args):
    """Whether a release is there and was confirmed once, and what it runs, in the order in which to start it."""
    release = release_arg(args)
    record = read_record(session, release)
    present = record is not None and record['state'] != 'failed' and os.path.isdir(tree_of(session, release))
    services = [service['name'] for service in services_of(record['manifest'])] if present else []
    return {'present': present, 'confirmed': record is not None and record['state'] == 'confirmed', 'services': services}


def secrets_same(session, args):
    """Whether the secrets file holds exactly this."""
    try:
        with open(session.root.at('shared', 'secrets.env'), 'rb') as file:
            return {'same': hmac.compare_digest(file.read(), text_arg(args, 'content').encode('utf-8', 'surrogatepass'))}
    except FileNotFoundError:
        return {'same': False}


def release_confirm(session, args):
    """
    Compare-and-set: staged becomes confirmed while `current` is this release. `withdraw` is not gone back to again; it
    is marked first, so that a confirmation that stands has it marked.
    """
    release = release_arg(args)
    if current_release(session) != release:
        raise refused('not-current', 'current is %s, not %s' % (current_release(session), release))
    record = read_record(session, release)
    if record is None or record['state'] == 'failed':
        raise refused('no-such-release', 'release %s has no record that could be confirmed' % release)
    if record.get('confirmedIn') == session.run and record['state'] == 'confirmed':
        return
    left = read_record(session, release_arg(args, 'withdraw')) if args.get('withdraw') not in (None, release) else None
    if left is not None and not left.get('withdrawn'):
        write_record(session, dict(left, withdrawn=session.run))
    order = 1 + max([one.get('order') or 0 for one in records(session)] or [0])
    before = {key: record.get(key) for key in ('state', 'order', 'withdrawn')}
    write_record(session, dict(record, state='confirmed', order=order, withdrawn=None, before=before, confirmedIn=session.run))


def release_unconfirm(session, args):
    """Takes back exactly this run's confirmation, and its mark on the release it left; what another run did stays."""
    release = release_arg(args)
    for left in records(session):
        if left.get('withdrawn') == session.run:
            write_record(session, dict(left, withdrawn=None))
    record = read_record(session, release)
    if record is None or record['state'] != 'confirmed' or record.get('confirmedIn') != session.run:
        return
    before = record.pop('before')
    del record['confirmedIn']
    write_record(session, dict(record, **before))


def release_discard(session, args):
    """Takes an unconfirmed release's tree away and records it as failed."""
    release = release_arg(args)
    record = read_record(session, release)
    if (record and record.get('order')) or current_release(session) == release:
        return
    if release in running_releases(session):
        raise refused('still-running', 'a service runs from release %s' % release)
    # The tree goes before the record is written: on a full disk that is what makes room for the record.
    for name in names_in(session.root.at('incoming')):
        if name.startswith(release + '.'):
            remove_tree(session.root.at('incoming', name))
    drop_release(session, release)
    if record is not None and record['state'] != 'failed':
        # Without the manifest: failed records are kept for `status` alone, which must stay fast.
        write_record(session, {'id': release, 'state': 'failed', 'manifest': None})


def drop_release(session, release):
    """A tree goes whole out of `releases/` before it is taken apart; its bytecode cache goes with it."""
    if os.path.lexists(tree_of(session, release)):
        away = os.path.join(session.root.folder('incoming'), '%s.dropped.%s' % (release, session.run))
        remove_tree(away)
        os.rename(tree_of(session, release), away)
        sync_folder(session.root.at('releases'))
        remove_tree(away)
    remove_tree(session.root.at('cache') + tree_of(session, release))


def running_releases(session):
    """Releases that a process still runs from."""
    return {one['release'] for one in service_states(session, None, Table(session)) if one['pid'] is not None}


def release_collect(session, args):
    """Removes what nothing refers to any more."""
    kept = kept_releases(session, max(int(args.get('keep') or 0), 0))
    removed = [name for name in names_in(session.root.at('releases')) if RELEASE_ID.match(name) and name not in kept]
    for release in removed:
        session.check()
        drop_release(session, release)
    collect_records(session, kept)
    for folder in ('incoming', 'blobs'):
        remove_tree(session.root.at(folder))
    collect_saves(session)
    collect_copies(session)
    return {'removed': removed}


def kept_releases(session, keep):
    """`current`, the latest confirmed others (withdrawn ones last), pinned ones, and whatever a service runs from."""
    current = current_release(session)
    all_records = records(session)
    confirmed = [one for one in all_records if one['state'] == 'confirmed' and one['id'] != current]
    confirmed.sort(key=lambda one: (not one.get('withdrawn'), one['order']), reverse=True)
    latest = {one['id'] for one in confirmed[:keep]}
    return latest | {one['id'] for one in all_records if one.get('pinned')} | running_releases(session) | {current}


def collect_records(session, kept):
    """Records go with their trees; of failed ones the latest stay, for `status`."""
    gone = [one for one in records(session) if one['id'] not in kept]
    failed = [one for one in gone if one['state'] == 'failed'][-KEPT_FAILED_RECORDS:]
    for record in gone:
        if record not in failed:
            unlink(record_path(session, record['id']))


def by_age(folder, names):
    """Names in a folder, the newest first."""
    return sorted(names, key=lambda name: (os.lstat(os.path.join(folder, name)).st_mtime_ns, name), reverse=True)


def collect_saves(session):
    """Prior states of runs long over."""
    folder = session.root.at('state', 'saved')
    others = [name for name in names_in(folder) if name != session.run]
    for name in by_age(folder, others)[KEPT_SAVES - 1:]:
        remove_tree(os.path.join(folder, name))


def collect_copies(session):
    """Copies of the database, and databases moved aside, beyond the latest of each, and copies that were cut off."""
    folder = session.root.at('copies')
    for name in names_in(folder):
        whole = name.startswith('aside-') or os.path.exists(os.path.join(folder, name[:-len('.sqlite3')] + '.json'))
        if name.startswith('.slipway-') or (name.endswith('.sqlite3') and not whole):
            unlink(os.path.join(folder, name))
    bases = [name for name in names_in(folder) if name.endswith('.sqlite3')]
    for aside in (False, True):
        some = [name for name in bases if name.startswith('aside-') is aside]
        for name in by_age(folder, some)[KEPT_COPIES:]:
            for path in (name, name[:-len('.sqlite3')] + '.json') + tuple(name + suffix for suffix in DATABASE_SUFFIXES):
                unlink(os.path.join(folder, path))


# ---------------------------------------------------------------- transfer

def blob_path(session, digest):
    """Where an arrived content lies."""
    return session.root.at('blobs', digest[:2], digest)


def blob_list(args):
    """The `[digest, size]` pairs of a message."""
    blobs = args.get('blobs')
    if not isinstance(blobs, list):
        raise refused('bad-request', 'blobs must be a list')
    for pair in blobs:
        if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and DIGEST_HEX.match(pair[0]) and isinstance(pair[1], int) and pair[1] >= 0):
            raise refused('bad-request', 'a blob is [sha256, size]')
    return [(digest, size) for digest, size in blobs]


def has_size(path, size):
    """Whether a regular file of that size is there."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == size


def damaged_path(session):
    """Digests whose file in a release turned out to be damaged: only a blob can give them."""
    return session.root.at('state', 'damaged.json')


def sources(session):
    """Where the contents of the releases on the device lie: `{ digest: [path, …] }`."""
    found = collections.defaultdict(list)
    damaged = set(read_json(damaged_path(session)) or [])
    for record in records(session):
        top = tree_of(session, record['id'])
        for entry in (record.get('manifest') or {}).get('entries', []):
            if entry['kind'] == 'file' and entry['sha256'] not in damaged:
                found[entry['sha256']].append(os.path.join(top, entry['path']))
    return found


def upload_missing(session, args):
    """What neither the blobs nor a release on the device can give."""
    wanted, there = blob_list(args), sources(session)
    missing = []
    for digest, size in dict(wanted).items():
        if not any(has_size(path, size) for path in [blob_path(session, digest)] + there.get(digest, [])):
            missing.append(digest)
    return {'missing': missing}


def upload_put(session, args):
    """Receives contents; each that is complete and right counts, whatever becomes of the connection afterwards."""
    blobs = blob_list(args)
    if sum(size for _, size in blobs) != session.message.left:
        raise refused('bad-request', 'the sizes do not add up to the bytes that follow')
    for digest, size in blobs:
        session.check()
        session.root.folder('blobs', digest[:2])
        put_blob(session, digest, size)


def put_blob(session, digest, size):
    """
    One content: written beside its place, verified, renamed. Not fsynced: it is verified again when it is used, so
    one that a power cut damaged is asked for again, and the release made of it is what must be durable.
    """
    path = blob_path(session, digest)
    temporary = beside(path)
    try:
        with os.fdopen(create(temporary), 'wb') as file:
            actual = receive(session, file, size)
        if actual != digest:
            raise Failed('checksum-mismatch', path=session.root.relative(path), expected=digest, actual=actual)
        os.rename(temporary, path)
    except BaseException:
        unlink(temporary)
        raise


def receive(session, file, size):
    """`size` bytes of the connection into a file; their sha256."""
    digest = hashlib.sha256()
    left = size
    while left > 0:
        chunk = session.take(min(left, COPY_CHUNK_BYTES))
        digest.update(chunk)
        file.write(chunk)
        left -= len(chunk)
    return digest.hexdigest()


def canonical(manifest):
    """The text whose digest is the release's id: sorted keys, no blanks, UTF-8."""
    try:
        return json.dumps(manifest, sort_keys=True, separators=(',', ':'), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise refused('bad-manifest', 'a text is not valid Unicode')


def upload_stage(session, args):
    """Builds a release's tree out of what is there, verified, and makes it appear by one rename."""
    release, manifest = release_arg(args), args.get('manifest')
    check_manifest(manifest)
    digest = hashlib.sha256(canonical(manifest)).hexdigest()
    if digest[:16] != release:
        raise Failed('checksum-mismatch', path='manifest', expected=release, actual=digest[:16])
    remove_tree(session.root.at('incoming'))
    record = read_record(session, release)
    if is_whole(session, record):
        drop_blobs(session, manifest)
        return {'path': 'releases/' + release}
    staging = os.path.join(session.root.folder('incoming'), '%s.%s' % (release, session.run))
    try:
        build_tree(session, staging, manifest)
        tree = tree_digest(staging)
        move_in(session, staging, release)
    except BaseException:
        remove_tree(staging)
        raise
    kept = {key: record[key] for key in ('pinned', 'order', 'withdrawn') if record and record.get(key)}
    state = 'confirmed' if record and record['state'] == 'confirmed' else 'staged'
    write_record(session, dict(kept, id=release, state=state, manifest=manifest, tree=tree))
    drop_blobs(session, manifest)
    unlink(damaged_path(session))
    return {'path': 'releases/' + release}


def is_whole(session, record):
    """Whether a recorded release's tree is there as it was built."""
    if record is None or not record.get('tree') or not os.path.isdir(tree_of(session, record['id'])):
        return False
    return tree_digest(tree_of(session, record['id'])) == record['tree']


def move_in(session, staging, release):
    """The finished tree becomes the release; a damaged one that is in the way leaves first."""
    folder = session.root.folder('releases')
    if os.path.lexists(tree_of(session, release)):
        os.rename(tree_of(session, release), staging + '.replaced')
    os.rename(staging, tree_of(session, release))
    sync_folder(folder)
    remove_tree(staging + '.replaced')


def drop_blobs(session, manifest):
    """Contents that now lie in a release."""
    for entry in manifest['entries']:
        if entry['kind'] == 'file':
            unlink(blob_path(session, entry['sha256']))


def check_manifest(manifest):
    """Refuses what could not be a packed release, before anything is written."""
    if not isinstance(manifest, dict) or manifest.get('version') != 1 or not isinstance(manifest.get('system'), dict) or not isinstance(manifest.get('entries'), list):
        raise refused('bad-manifest', 'not a manifest of version 1')
    kinds = {}
    for entry in manifest['entries']:
        check_entry(entry)
        if entry['path'] in kinds:
            raise refused('bad-manifest', '%r is listed twice' % entry['path'])
        kinds[entry['path']] = entry['kind']
    for path in kinds:
        for parent in parents_of(path):
            if kinds.get(parent, 'folder') != 'folder':
                raise refused('bad-manifest', '%r lies below %r, which is no folder' % (path, parent))
    for wheel in manifest.get('wheels') or []:
        if kinds.get(wheel) != 'file':
            raise refused('bad-manifest', 'the wheel %r is not among the files' % (wheel,))
    if manifest.get('wheels') and any(path.split('/')[0] == 'site-packages' for path in kinds):
        raise refused('bad-manifest', 'site-packages/ is made from the wheels')
    for service in manifest['system'].get('services') or []:
        if not isinstance(service, dict) or not PLAIN_NAME.match(service.get('name') or ''):
            raise refused('bad-manifest', 'a service needs a plain name')


def parents_of(path):
    """The folders above a path of a tree."""
    parts = path.split('/')
    return ['/'.join(parts[:length]) for length in range(1, len(parts))]


def check_entry(entry):
    """One line of the manifest."""
    path = entry.get('path') if isinstance(entry, dict) else None
    if not isinstance(path, str) or '\0' in path or any(part in ('', '.', '..') for part in path.split('/')):
        raise refused('bad-manifest', 'not a path of a tree: %r' % (path,))
    if any(part.startswith('.env') or part in ('.git', '.slipway') for part in path.split('/')):
        raise refused('forbidden-path', '%r must never be part of a release' % path)
    kind = entry.get('kind')
    sound = {
        'file': lambda: isinstance(entry.get('mode'), int) and isinstance(entry.get('size'), int) and DIGEST_HEX.match(entry.get('sha256') or ''),
        'folder': lambda: isinstance(entry.get('mode'), int),
        'link': lambda: isinstance(entry.get('target'), str) and entry['target'] != '' and '\0' not in entry['target'],
    }
    if kind not in sound or not sound[kind]():
        raise refused('bad-manifest', 'not an entry: %r' % path)
    if kind == 'link':
        inside = os.path.normpath(os.path.join(os.path.dirname(path), entry['target']))
        if os.path.isabs(entry['target']) or inside == '..' or inside.startswith('../'):
            raise refused('link-leaves-tree', '%r points at %r' % (path, entry['target']))


def build_tree(session, top, manifest):
    """Materialises a manifest, with its wheels; everything is durable before the tree gets its name."""
    os.mkdir(top, 0o755)
    there = sources(session)
    for entry in manifest['entries']:
        session.check()
        place = os.path.join(top, entry['path'])
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if entry['kind'] == 'file':
            build_file(session, place, entry, there)
        elif entry['kind'] == 'link':
            os.symlink(entry['target'], place)
        else:
            os.makedirs(place, exist_ok=True)
    check_links(top, manifest)
    unpack_wheels(session, top, manifest.get('wheels') or [])
    # Folder modes come last, deepest first: one that forbids writing would forbid what goes into it.
    for entry in sorted(manifest['entries'], key=lambda one: one['path'], reverse=True):
        if entry['kind'] == 'folder':
            os.chmod(os.path.join(top, entry['path']), entry['mode'] & 0o777)
    sync_tree(top)


def check_links(top, manifest):
    """What the text of a link does not show: one that leaves the tree by way of another link."""
    real = os.path.realpath(top)
    for entry in manifest['entries']:
        if entry['kind'] == 'link':
            end = os.path.realpath(os.path.join(top, entry['path']))
            if end != real and not end.startswith(real + os.sep):
                raise refused('link-leaves-tree', '%r leads out of the release' % entry['path'])


def build_file(session, place, entry, there):
    """One file from a blob or from a release that has it, verified while copied; never hard-linked."""
    blob = blob_path(session, entry['sha256'])
    actual = None
    for source in [blob] + there.get(entry['sha256'], []):
        if not has_size(source, entry['size']):
            continue
        actual = copy_verified(source, place, entry)
        if actual == entry['sha256']:
            return
        forget(session, source, blob, entry['sha256'])
    if actual is None:
        raise refused('blob-missing', 'the content of %r (%s) has not arrived' % (entry['path'], entry['sha256'][:12]))
    raise Failed('checksum-mismatch', path=entry['path'], expected=entry['sha256'], actual=actual)


def copy_verified(source, place, entry):
    """Copies with its mode; returns the digest of what was copied."""
    fd = create(place)
    try:
        with open(source, 'rb') as file:
            actual = copy_hashed(file, fd)
        os.fchmod(fd, entry['mode'] & 0o777)
    finally:
        os.close(fd)
    return actual


def forget(session, source, blob, digest):
    """A damaged source must not count as there: the next `upload.missing` asks for the content again."""
    if source == blob:
        unlink(blob)
    else:
        session.root.folder('state')
        write_json(damaged_path(session), sorted(set(read_json(damaged_path(session)) or []) | {digest}))


# ---------------------------------------------------------------- wheels

def unpack_wheels(session, top, wheels):
    """Unpacks wheels into `site-packages/`, every file checked against its wheel's RECORD."""
    placed = {}
    total = 0
    for wheel in wheels:
        with open_wheel(os.path.join(top, wheel), wheel) as archive:
            expected = wheel_record(archive, wheel)
            for info in archive.infolist():
                session.check()
                total += info.file_size
                if total > MAX_WHEEL_BYTES:
                    raise refused('bad-wheel', 'the wheels unpack to more than %d bytes' % MAX_WHEEL_BYTES)
                unpack_member(archive, info, wheel, expected, os.path.join(top, 'site-packages'), placed)
            if expected:
                raise refused('bad-wheel', '%s: %r is in RECORD but not in the wheel' % (wheel, sorted(expected)[0]))


def open_wheel(path, wheel):
    """The archive; what is none is refused."""
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise refused('bad-wheel', '%s: %s' % (wheel, error))


def wheel_record(archive, wheel):
    """`{ path: (algorithm, digest, size) }` of the wheel's RECORD."""
    found = [name for name in archive.namelist() if re.match(r'[^/]+\.dist-info/RECORD\Z', name)]
    if len(found) != 1:
        raise refused('bad-wheel', '%s has no RECORD' % wheel)
    expected = {}
    for row in csv.reader(io.StringIO(archive.read(found[0]).decode('utf-8', 'replace'))):
        if len(row) == 3 and row[0] not in unsigned(found[0]):
            algorithm, _, digest = row[1].partition('=')
            expected[row[0]] = (algorithm, digest, row[2])
    return expected


def unsigned(record):
    """The files that cannot stand in RECORD with a digest."""
    return (record, record + '.jws', record + '.p7s')


def unpack_member(archive, info, wheel, expected, site, placed):
    """One file of a wheel to its place; directories come by themselves, scripts and headers are left out."""
    name = info.filename
    if stat.S_ISLNK(info.external_attr >> 16) or name.startswith('/') or '\\' in name or '..' in name.split('/'):
        raise refused('bad-wheel', '%s: %r leaves the tree' % (wheel, name))
    if info.is_dir():
        return
    content = read_member(archive, info, wheel)
    signed = not re.match(r'[^/]+\.dist-info/RECORD(\.jws|\.p7s)?\Z', name)
    if signed:
        check_member(name, content, expected.pop(name, None), wheel)
    place = placed_at(name)
    if place is None:
        return
    if placed.setdefault(place, content if signed else b'') != (content if signed else b''):
        raise refused('wheel-conflict', '%s: %r comes from another wheel, too' % (wheel, place))
    write_member(os.path.join(site, place), content, 0o755 if (info.external_attr >> 16) & 0o100 else 0o644)


def read_member(archive, info, wheel):
    """A member's bytes; a damaged or encrypted one is refused."""
    try:
        return archive.read(info)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise refused('bad-wheel', '%s: %r: %s' % (wheel, info.filename, error))


def check_member(name, content, expected, wheel):
    """Compares a member with what RECORD says."""
    algorithm, digest, size = expected or ('', '', '')
    if algorithm not in ('sha256', 'sha384', 'sha512'):
        raise refused('bad-wheel', '%s: %r is not in RECORD with a sound digest' % (wheel, name))
    actual = base64.urlsafe_b64encode(hashlib.new(algorithm, content).digest()).rstrip(b'=').decode()
    if actual != digest.rstrip('=') or (size and int(size) != len(content)):
        raise Failed('checksum-mismatch', path='%s!%s' % (wheel, name), expected=digest, actual=actual)


def placed_at(name):
    """A member's path below `site-packages/`: `*.data/purelib` and `platlib` are merged, other data left out."""
    data = re.match(r'[^/]+\.data/([^/]+)/(.+)\Z', name)
    if data is None:
        return name
    return data.group(2) if data.group(1) in ('purelib', 'platlib') else None


def write_member(path, content, mode):
    """A file of `site-packages/`."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    fd = create(path, mode)
    try:
        write_all(fd, content)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


# ---------------------------------------------------------------- services

class Table:
    """What runs of this root at one moment: the records, the processes, and the marks in their environments."""

    def __init__(self, session):
        reap(session)
        self.processes = processes()
        self.records = {}
        for file in names_in(session.root.at('run')):
            record = read_json(session.root.at('run', file)) if file.endswith('.json') and PLAIN_NAME.match(file) else None
            if record is not None:
                self.records[file[:-5]] = record
        self.marked = collections.defaultdict(set)
        self.environments = {}
        for pid in self.processes:
            environment = environment_of(pid)
            mark, _, name = environment.get(MARK, '').partition('/')
            if mark == session.root.mark and pid != os.getpid():
                self.marked[name].add(pid)
                self.environments[pid] = environment

    def names(self):
        """Everything that is recorded or marked."""
        return set(self.records) | set(self.marked)

    def members(self, name):
        """All processes of a service: its session, and whoever bears its mark."""
        return session_members(self.records.get(name), self.processes) | self.marked.get(name, set())

    def runs(self, name):
        """Whether the recorded process itself runs."""
        return alive(self.records.get(name))

    def marked_release(self, members):
        """The release that unrecorded processes say they run from."""
        return next((self.environments[pid].get('RELEASE_ID') for pid in members if pid in self.environments), None)


def service_named(manifest, name):
    """A declared service, or None."""
    return next((one for one in services_of(manifest) if one['name'] == name), None)


def port_answers(port):
    """Whether something listens on a port of this machine."""
    try:
        socket.create_connection(('127.0.0.1', port), PORT_ANSWERS_S).close()
        return True
    except OSError:
        pass
    probe = socket.socket()
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(('', port))
        return False
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    finally:
        probe.close()


def port_holder(port):
    """The pid that listens on a port, where it can be seen."""
    inodes = set()
    for name in ('tcp', 'tcp6'):
        try:
            with open('/proc/net/' + name) as file:
                rows = [line.split() for line in file][1:]
        except OSError:
            continue
        inodes |= {row[9] for row in rows if row[3] == '0A' and int(row[1].rpartition(':')[2], 16) == port}
    wanted = {'socket:[%s]' % inode for inode in inodes}
    return next((pid for pid, opened in open_files() if opened in wanted), None)


def open_files():
    """`(pid, what)` of every file that a process has open, as far as it may be seen."""
    if not LINUX:
        yield from open_files_by_lsof()
    for name in names_in('/proc'):
        for fd in names_in_safely('/proc/%s/fd' % name) if name.isdigit() else []:
            try:
                yield int(name), os.readlink('/proc/%s/fd/%s' % (name, fd))
            except OSError:
                continue


def open_files_by_lsof():
    """The same where there is no /proc: `p` lines name a process, `n` lines what it has open."""
    listing = subprocess.run(
        ['lsof', '-nP', '-F', 'pn'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        close_fds=True, start_new_session=True, env={'PATH': DEFAULT_PATH, 'LC_ALL': 'C'})
    pid = 0
    for line in os.fsdecode(listing.stdout).splitlines():
        if line.startswith('p'):
            pid = int(line[1:])
        elif line.startswith('n'):
            yield pid, line[1:]


def names_in_safely(folder):
    """The names in a folder of /proc: another user's is closed, and any may vanish."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def ephemeral_start():
    """Where the kernel begins to give ports to connections: a kept port must lie below."""
    try:
        with open('/proc/sys/net/ipv4/ip_local_port_range') as file:
            return int(file.read().split()[0])
    except (OSError, ValueError, IndexError):
        return EPHEMERAL_START


def choose_port(taken):
    """A free port that nobody else will be given by chance."""
    end = ephemeral_start()
    for _ in range(PORT_TRIES if end > LOWEST_PORT else 0):
        port = random.randrange(LOWEST_PORT, end)
        if port not in taken and port not in NEVER_PORTS and not port_answers(port):
            return port
    for _ in range(PORT_TRIES):
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        if port not in taken and port not in NEVER_PORTS:
            return port
    raise refused('no-free-port', 'no free port was found')


def port_of(session, service):
    """A service's port: the device's public one, or one chosen free once and kept; None when it does not listen."""
    if not service.get('listens'):
        return None
    if service['listens'] == 'public' and session.public_port is not None:
        return session.public_port
    path = os.path.join(session.root.folder('state'), 'ports.json')
    kept = read_json(path) or {}
    if service['name'] not in kept:
        kept[service['name']] = choose_port(set(kept.values()) | {session.public_port})
        write_json(path, kept)
    return kept[service['name']]


def fill(session, release, manifest, text):
    """A declared text with ports and paths in it."""
    if isinstance(text, str):
        return text
    if isinstance(text, list):
        return ''.join(fill(session, release, manifest, part) for part in text)
    if isinstance(text, dict) and 'port' in text:
        service = service_named(manifest, text['port'])
        port = port_of(session, service) if service else None
        if port is None:
            raise refused('bad-manifest', 'no service %r that listens is declared' % (text['port'],))
        return str(port)
    paths = {'data': ('shared', 'data'), 'secrets': ('shared', 'secrets.env'), 'release': ('releases', release)}
    if isinstance(text, dict) and text.get('path') in paths:
        if text['path'] == 'data':
            session.root.folder('shared', 'data')
        return session.root.at(*paths[text['path']])
    raise refused('bad-manifest', 'not a text for a service: %r' % (text,))


def filled_command(session, release, manifest, argv):
    """A declared command; `python3` is the interpreter that runs the agent."""
    filled = [fill(session, release, manifest, part) for part in argv]
    return [sys.executable] + filled[1:] if filled[0] == 'python3' else filled


def filled_environment(session, release, manifest, env):
    """What declared programs get. Bytecode goes elsewhere: nothing is ever written into a release."""
    more = {name: fill(session, release, manifest, value) for name, value in (env or {}).items()}
    return dict(basic_environment(), PYTHONPYCACHEPREFIX=session.root.at('cache'), RELEASE_ID=release, **more)


def service_start(session, args):
    """Starts a declared service of a release and waits until it is ready; a failed start leaves no process."""
    name = name_arg(args)
    if args.get('release') is None:
        return
    release = release_arg(args)
    manifest = manifest_of(session, release)
    service = service_named(manifest, name)
    if service is None:
        return
    if runs_already(session, name, release):
        return
    port = port_of(session, service)
    if port is not None and port_answers(port):
        raise refused('port-in-use', 'port %d of %s is in use by %s' % (port, name, holder_words(port)))
    started_at = start_process(session, name, release, manifest, service, port)
    try:
        await_ready(session, name, service, started_at)
    except BaseException:
        # Also when cancelled: whoever asked is told that it failed, so nothing may go on running.
        end_service(session, name, SERVICE_GRACE_S, time.sleep)
        unlink(session.root.at('run', name + '.json'))
        raise


def holder_words(port):
    """Who listens there, for a message."""
    pid = port_holder(port)
    return 'process %d' % pid if pid is not None else 'another process'


def runs_already(session, name, release):
    """Whether it runs from this release; refuses when something else of it runs."""
    table = Table(session)
    record, members = table.records.get(name), table.members(name)
    if record is not None and table.runs(name) and record['release'] == release and record.get('phase') == 'ready':
        return True
    if record is not None and members and record['release'] == release:
        # A start or a stop that was cut off: it counts for nothing, so it ends and begins again.
        end_service(session, name, grace_of(session, name), session.rest)
        return False
    if members:
        release = record['release'] if record else table.marked_release(members)
        raise refused('still-running', '%s runs from release %s (process %d); stop that first' % (name, release, sorted(members)[0]))
    return False


def start_process(session, name, release, manifest, service, port):
    """Spawns it; returns where in its log this start begins."""
    log = rotated_log(session, name)
    argv = filled_command(session, release, manifest, service['argv'])
    env = filled_environment(session, release, manifest, service.get('env'))
    env[MARK] = '%s/%s' % (session.root.mark, name)
    place = os.path.join(session.root.folder('run'), name + '.json')
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        begin = os.fstat(fd).st_size
        record = {'name': name, 'release': release, 'argv': argv, 'port': port, 'phase': 'starting', 'begin': begin}
        child = spawn(argv, tree_of(session, release), env, place, record, fd, fd)
    finally:
        os.close(fd)
    session.children[child.pid] = child
    sync_folder(os.path.dirname(place))
    return begin


def rotated_log(session, name):
    """A service's log; a large one makes room."""
    log = os.path.join(session.root.folder('logs'), name + '.log')
    if os.path.exists(log) and os.path.getsize(log) > MAX_LOG_BYTES:
        os.rename(log, log + '.1')
    return log


def await_ready(session, name, service, begin):
    """Until its health path answers 200, or, without one, it has lived for a while."""
    deadline = time.monotonic() + READY_S
    lives_until = time.monotonic() + ALIVE_S
    place = session.root.at('run', name + '.json')
    record = read_json(place)
    while True:
        child = session.children.get(record['pid'])
        if child is None or child.poll() is not None:
            raise service_ended(session, name, child, begin, 'before it was ready')
        if service.get('health') is None and time.monotonic() >= lives_until:
            break
        if service.get('health') is not None and ask_health(record['port'], service['health'])[0] == 200:
            break
        if time.monotonic() >= deadline:
            raise Failed('timed-out', what='%s is ready' % name, timeoutMs=int(READY_S * 1000))
        session.rest(POLL_S)
    write_json(place, dict(record, phase='ready'))


def service_ended(session, name, child, begin, when):
    """It ended by itself: how, and its last words."""
    status = child.returncode if child is not None else None
    how = ' with signal %d' % -status if status is not None and status < 0 else '' if status is None else ' with exit status %d' % status
    tail = log_tail(session.root.at('logs', name + '.log'), begin)
    return refused('service-ended', '\n'.join(['%s ended%s %s' % (name, how, when)] + tail))


def log_tail(path, begin):
    """The last lines of a log since `begin`."""
    with open(path, 'rb') as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(begin, size - MAX_LOG_TAIL_BYTES))
        lines = file.read(MAX_LOG_TAIL_BYTES).decode('utf-8', 'replace').splitlines()
    return [line[:MAX_TAIL_LINE_CHARS] for line in lines[-MAX_TAIL_LINES:]]


def ask_health(port, health):
    """`(status, body, problem)` of a health path; asked directly, past any proxy."""
    if port is None:
        return None, b'', 'declares a health path and no port'
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=HEALTH_S)
    try:
        connection.request('GET', health['path'], headers={'Connection': 'close'})
        answer = connection.getresponse()
        return answer.status, answer.read(MAX_HEALTH_BODY_BYTES), None
    except (OSError, http.client.HTTPException) as error:
        return None, b'', str(error) or type(error).__name__
    finally:
        connection.close()


def service_problem(table, release, service):
    """What is wrong with one declared service, or None."""
    name = service['name']
    record = table.records.get(name)
    if record is None or not table.runs(name):
        return '%s does not run' % name
    if record['release'] != release:
        return '%s runs from release %s' % (name, record['release'])
    if not service.get('health'):
        return None
    status, body, problem = ask_health(record['port'], service['health'])
    if status != 200:
        return '%s: %s' % (name, problem or 'answers %s' % status)
    return reported_problem(name, body, service['health'].get('release'), release)


def reported_problem(name, body, field, release):
    """Whether the answer names this release in the declared field."""
    if field is None:
        return None
    try:
        reported = json.loads(body).get(field)
    except (ValueError, AttributeError):
        return '%s: answers no JSON object' % name
    return None if reported == release else '%s: reports release %s' % (name, reported)


def health_problems(session, release, manifest, table):
    """What is wrong with the declared services, asked all at the same time."""
    services = services_of(manifest)
    problems = [None] * len(services)

    def ask(index):
        try:
            problems[index] = service_problem(table, release, services[index])
        except Exception as error:  # in a thread nobody else would hear of it
            problems[index] = '%s: %s' % (services[index]['name'], error)

    threads = [threading.Thread(target=ask, args=(index,), daemon=True) for index in range(len(services))]
    for thread in threads:
        thread.start()
    for index, thread in enumerate(threads):
        thread.join(2 * HEALTH_S)
        if thread.is_alive():
            problems[index] = '%s: no answer in time' % services[index]['name']
    return [problem for problem in problems if problem]


def refuse_ended(session, release, manifest, table):
    """A service that was ready and ended by itself: nobody starts it again, so it is not waited for."""
    for service in services_of(manifest):
        name = service['name']
        record = table.records.get(name)
        if record is not None and record['release'] == release and record.get('phase') == 'ready' and not table.runs(name):
            raise service_ended(session, name, session.children.get(record['pid']), record.get('begin') or 0, 'after it was ready')


def release_health(session, args):
    """Whether everything that a release declares runs from it and answers as it."""
    release = release_arg(args)
    manifest = manifest_of(session, release)
    table = Table(session)
    refuse_ended(session, release, manifest, table)
    problems = health_problems(session, release, manifest, table)
    count = len(services_of(manifest))
    return {'healthy': not problems, 'detail': '; '.join(problems) or '%d of %d services answer as %s' % (count, count, release)}


def grace_of(session, name):
    """How long a service may take to end, as its release declares."""
    record = read_json(session.root.at('run', name + '.json')) or {}
    manifest = (read_record(session, record.get('release') or '-') or {}).get('manifest')
    service = service_named(manifest, name) if manifest else None
    declared_ms = service.get('graceMs') if service else None
    return declared_ms / 1000 if declared_ms is not None else SERVICE_GRACE_S


def end_service(session, name, grace_s, rest):
    """Ends every process of a service, by session and by mark, and reaps it."""
    seen = {}

    def find():
        # An ending process loses its environment, and so its mark, a moment before it is gone: it is remembered.
        table = Table(session)
        seen.update((pid, table.processes[pid].started) for pid in table.members(name))
        return {pid for pid, started in seen.items() if pid in table.processes and table.processes[pid].started == started}

    left = end_processes(find, grace_s, rest)
    if left:
        raise refused('still-running', 'process %d of %s does not end' % (sorted(left)[0], name))
    reap(session)


def service_stop(session, args):
    """Ends a service whole and waits until its port is free; nothing when it does not run."""
    stop_service(session, name_arg(args))


def stop_service(session, name):
    """The record says `stopping` first: a stop that is cut off must not look like a service that runs."""
    place = session.root.at('run', name + '.json')
    record = read_json(place)
    runs = bool(Table(session).members(name))
    if runs and record is not None:
        write_json(place, dict(record, phase='stopping'))
    if runs:
        end_service(session, name, grace_of(session, name), session.rest)
    if runs and record is not None and record['port'] is not None:
        await_free(session, name, record['port'])
    unlink_durably(place)


def await_free(session, name, port):
    """A port stays taken for a moment after its process."""
    deadline = time.monotonic() + PORT_FREE_S
    while port_answers(port):
        if time.monotonic() >= deadline:
            raise refused('port-in-use', 'port %d of %s is still in use by %s' % (port, name, holder_words(port)))
        session.rest(POLL_S)


def stop_all(session, args):
    """Stops every service of this root."""
    try:
        current = current_release(session)
    except Failed:
        current = None
    manifest = (read_record(session, current) or {}).get('manifest') if current else None
    names = running_order(manifest, sorted(Table(session).names()))
    for name in names:
        stop_service(session, name)
    return {'stopped': names}


def quiescing(manifest):
    """Services that can be asked to begin nothing new."""
    return [service for service in services_of(manifest) if service.get('quiesce')]


def paused_path(session):
    """What pauses found and no resume has dealt with: `{ NAME: whether somebody else had paused it already }`."""
    return os.path.join(session.root.folder('state'), 'paused.json')


def release_pause(session, args):
    """Asks services to begin nothing new, and remembers once which of them had been asked before by somebody else."""
    if args.get('release') is None:
        return
    release = release_arg(args)
    manifest = manifest_of(session, release)
    services = quiescing(manifest)
    found = read_json(paused_path(session)) or {}
    new = {one['name']: paused_before(session, release, manifest, one) for one in services if one['name'] not in found}
    if new:
        write_json(paused_path(session), dict(found, **new))
    for service in services:
        run_declared(session, release, manifest, service['quiesce']['pause'], service.get('env'), QUIESCE_S)


def paused_before(session, release, manifest, service):
    """What the service itself says (`quiesced` beside `safeToStop`); silence is a no."""
    if not service.get('safeToStop'):
        return False
    answer, _ = ask_safe(session, release, manifest, service)
    return answer is not None and answer.get('quiesced') is True


def release_resume(session, args):
    """
    Asks those services to go on that `pause` had paused; what somebody else had paused stays so. What was paused and
    this release does not have stays remembered: it still is paused when a release comes that has it.
    """
    if args.get('release') is None:
        return
    release = release_arg(args)
    manifest = manifest_of(session, release)
    found = read_json(paused_path(session))
    if found is None:
        return
    services = quiescing(manifest)
    for service in services:
        if found.get(service['name']) is False:
            run_declared(session, release, manifest, service['quiesce']['resume'], service.get('env'), QUIESCE_S)
    done = {service['name'] for service in services}
    left = {name: before for name, before in found.items() if not before and name not in done}
    if left:
        write_json(paused_path(session), left)
    else:
        unlink_durably(paused_path(session))


def run_declared(session, release, manifest, command, env, timeout_s, capture=False, ok_exits=(0,)):
    """Runs a command that the manifest declares, in the release."""
    argv = filled_command(session, release, manifest, command)
    environment = filled_environment(session, release, manifest, env)
    return execute(session, argv, tree_of(session, release), environment, timeout_s, capture=capture, ok_exits=ok_exits)


def safe_to_stop(session, args):
    """Asks the running services of a release whether they may be stopped; what is no answer counts as unsafe."""
    if args.get('release') is None:
        return {'safe': True, 'open': []}
    release = release_arg(args)
    manifest = manifest_of(session, release)
    table = Table(session)
    open_work = []
    for service in services_of(manifest):
        record = table.records.get(service['name'])
        if service.get('safeToStop') and record and table.runs(service['name']) and record['release'] == release:
            open_work += open_in(session, release, manifest, service)
    return {'safe': not open_work, 'open': open_work}


def ask_safe(session, release, manifest, service):
    """`(answer, problem)`: the JSON object on the last line of its `safeToStop`; exit statuses 0 and 1 both are answers."""
    try:
        said = run_declared(session, release, manifest, service['safeToStop'], service.get('env'), SAFE_TO_STOP_S, True, (0, 1))
        answer = json.loads([line for line in said.splitlines() if line.strip()][-1])
    except Failed as error:
        if error.failure['reason'] == 'cancelled':
            raise
        return None, 'cannot say (%s)' % error.failure['reason']
    except (ValueError, IndexError):
        answer = None
    return (answer, None) if isinstance(answer, dict) else (None, 'gave no answer')


def open_in(session, release, manifest, service):
    """What is open in one service; empty when it may be stopped."""
    answer, problem = ask_safe(session, release, manifest, service)
    if answer is not None and answer.get('safeToStop') is True:
        return []
    if answer is None or 'safeToStop' not in answer:
        return ['%s: %s' % (service['name'], problem or 'gave no answer')]
    what = answer.get('open') or []
    words = [one if isinstance(one, str) else json.dumps(one) for one in (what if isinstance(what, list) else [what])]
    return words or ['%s: not safe to stop' % service['name']]


# ---------------------------------------------------------------- data

def database_path(session, manifest):
    """The declared database's place below the data folder, links followed; None when none is declared."""
    database = manifest['system'].get('database')
    if not database:
        return None
    path = os.path.realpath(session.root.entry('shared/data/' + database['path']))
    if not path.startswith(os.path.realpath(session.root.at('shared', 'data')) + os.sep):
        raise refused('outside-root', 'the database %r does not lie in the data folder' % database['path'])
    return path


def connect(path):
    """Opens an existing database: `mode=rw` makes a mistyped path fail instead of creating an empty one."""
    return sqlite3.connect('file:%s?mode=rw' % urllib.parse.quote(path), uri=True, timeout=DATABASE_BUSY_S, isolation_level=None)


def table_counts(connection):
    """Rows per table; None for a table that this SQLite cannot read (an extension's)."""
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")]
    counts = {}
    for name in names:
        try:
            counts[name] = connection.execute('SELECT count(*) FROM "%s"' % name.replace('"', '""')).fetchone()[0]
        except sqlite3.OperationalError:
            counts[name] = None
    return counts


def check_database(connection):
    """Both checks: `integrity_check` alone passes over foreign keys that point nowhere."""
    said = [row[0] for row in connection.execute('PRAGMA integrity_check(3)')]
    if said != ['ok']:
        raise refused('database-damaged', '; '.join(str(line) for line in said))
    broken = connection.execute('PRAGMA foreign_key_check').fetchmany(3)
    if broken:
        raise refused('database-damaged', 'rows that refer to nothing in: %s' % ', '.join(sorted({str(row[0]) for row in broken})))


def copy_places(session, name):
    """A copy and its manifest, by the copy's name: `RELEASE.RUN`, so that no run overwrites another's."""
    return session.root.at('copies', name + '.sqlite3'), session.root.at('copies', name + '.json')


def copy_data(session, args):
    """Copies the database in one read snapshot, beside writers, and checks the copy."""
    release = release_arg(args)
    source = database_path(session, manifest_of(session, release))
    if source is None or not os.path.exists(source):
        return {'copy': None, 'bytes': 0}
    folder = session.root.folder('copies')
    copy, about = copy_places(session, '%s.%s' % (release, session.run))
    part = beside(copy)
    require_room(folder, source)
    try:
        remove_database(part)
        os.close(create(part))
        facts = copy_database(source, part)
        session.check()
        unlink(about)  # from here until the end there is no copy, rather than one with another's manifest
        os.rename(part, copy)
        sync_folder(folder)
    finally:
        remove_database(part)
    found = os.stat(source)
    facts.update(release=release, at=now(), mode=stat.S_IMODE(found.st_mode), owner=[found.st_uid, found.st_gid])
    write_json(about, facts)
    collect_copies(session)  # not only after a deploy that worked: one that fails again and again must not fill the disk
    return {'copy': session.root.relative(copy), 'bytes': facts['bytes']}


def require_room(folder, source):
    """SQLite names a full disk by text alone before Python 3.11, so room is looked at first."""
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize < database_size(source):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), folder)


def copy_database(source, target):
    """The backup, made one file, checked and fsynced; facts about it."""
    origin, copy = connect(source), connect(target)
    try:
        mode = origin.execute('PRAGMA journal_mode').fetchone()[0]
        origin.backup(copy, pages=-1)
        copy.execute('PRAGMA journal_mode=DELETE')
        check_database(copy)
        counts, version = table_counts(copy), copy.execute('PRAGMA user_version').fetchone()[0]
    finally:
        copy.close()
        origin.close()
    sync_file(target)
    return {
        'sha256': file_digest(target), 'bytes': os.path.getsize(target), 'counts': counts, 'userVersion': version,
        'journalMode': mode, 'sqlite': sqlite3.sqlite_version,
    }


def remove_database(path):
    """A database that is no longer wanted, with what SQLite puts beside it."""
    for suffix in DATABASE_FILES:
        unlink(path + suffix)


def drop_copy(session, args):
    """Removes what an interrupted copy of this run left; a finished copy stays."""
    copy, about = copy_places(session, '%s.%s' % (release_arg(args), session.run))
    remove_database(beside(copy))
    if not os.path.exists(about):
        unlink_durably(copy)


def migrate(session, args):
    """Runs the release's own migration command, while nobody else has the database open."""
    release = release_arg(args)
    manifest = manifest_of(session, release)
    database = manifest['system'].get('database')
    if not database:
        return
    require_closed(session, database_path(session, manifest))
    session.root.folder('shared', 'data')
    timeout_s = args['timeoutMs'] / 1000 if args.get('timeoutMs') else DEFAULT_TIMEOUT_S
    run_declared(session, release, manifest, database['migrate'], database.get('env'), timeout_s)


def restore_data(session, args):
    """
    Puts a copy back in the safe order of docs/procedures, or moves a half-made database aside when there was none.
    Killed anywhere, it leaves the old or the new database whole, and called again it finishes. Not cancelled half way.
    """
    release = release_arg(args)
    database = database_path(session, manifest_of(session, release))
    if database is None:
        return
    if args.get('copy') is None:
        return move_aside(session, database, release)
    named = re.match(r'copies/(%s\.[A-Za-z0-9._-]+)\.sqlite3\Z' % release, text_arg(args, 'copy'))
    if named is None:
        raise refused('bad-request', '%r is no copy made for release %s' % (args['copy'], release))
    copy, about = copy_places(session, named.group(1))
    facts = read_json(about)
    if facts is None or not os.path.exists(copy):
        raise refused('no-copy', '%s is not there, or without its manifest' % args['copy'])
    os.makedirs(os.path.dirname(database), mode=0o700, exist_ok=True)
    staged = stage_copy(session, copy, database, facts)
    try:
        require_closed(session, database)
        settle_old(session, database, release)
        os.rename(staged, database)
        sync_folder(os.path.dirname(database))
    except BaseException:
        unlink(staged)
        raise
    finish_restore(database, facts)


def stage_copy(session, copy, database, facts):
    """The copy on the database's own file system, verified, fsynced and checked, with the old mode and owner."""
    staged = beside(database)
    remove_database(staged)
    try:
        fd = create(staged)
        try:
            with open(copy, 'rb') as file:
                actual = copy_hashed(file, fd)
            chown(fd, facts['owner'])
            os.fchmod(fd, facts['mode'])
            os.fsync(fd)
        finally:
            os.close(fd)
        if actual != facts['sha256']:
            raise Failed('checksum-mismatch', path=session.root.relative(copy), expected=facts['sha256'], actual=actual)
        connection = connect(staged)
        try:
            check_database(connection)
        finally:
            connection.close()
    except BaseException:
        remove_database(staged)
        raise
    return staged


def require_closed(session, database):
    """Proves that nobody has the database open: a writer would silently revert what is put in its place."""
    paths = {database + suffix for suffix in DATABASE_FILES}
    holders = {pid for pid, opened in open_files() if opened.replace(' (deleted)', '') in paths and pid != os.getpid()}
    if holders:
        raise refused('database-open', 'process %s has the database open' % ', '.join(str(pid) for pid in sorted(holders)))


def settle_old(session, database, release):
    """The old database without log or journal beside it: whatever lay there would be played into the new one."""
    if os.path.exists(database):
        try:
            leave_wal(database)
        except sqlite3.DatabaseError as error:
            if in_use(error):
                raise refused('database-open', 'another process has the database open')
            move_files_aside(session, database, release)  # too damaged to open: kept, but out of the way
    elif any(os.path.exists(database + suffix) for suffix in DATABASE_SUFFIXES):
        move_files_aside(session, database, release)
    left = [suffix for suffix in DATABASE_SUFFIXES if os.path.exists(database + suffix)]
    if left:
        raise refused('database-open', 'the old database still has %s' % ' and '.join(left))


def in_use(error):
    """Whether SQLite refused because of another connection."""
    name = getattr(error, 'sqlite_errorname', None)
    return name.startswith(('SQLITE_BUSY', 'SQLITE_LOCKED')) if name else 'locked' in str(error)


def leave_wal(database):
    """Checkpoints and leaves WAL mode, which fails while any other connection exists."""
    connection = sqlite3.connect('file:%s?mode=rw' % urllib.parse.quote(database), uri=True, timeout=1, isolation_level=None)
    try:
        connection.execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchall()
        mode = connection.execute('PRAGMA journal_mode=DELETE').fetchone()[0]
        connection.execute('SELECT count(*) FROM sqlite_master').fetchall()  # rolls an unfinished transaction back
    finally:
        connection.close()
    if mode != 'delete':
        raise refused('database-open', 'the database cannot leave WAL mode: another process has it open')


def finish_restore(database, facts):
    """WAL again where it was, and the rows counted against the copy's manifest."""
    connection = connect(database)
    try:
        if facts['journalMode'] == 'wal':
            connection.execute('PRAGMA journal_mode=WAL')
        counts = table_counts(connection)
    finally:
        connection.close()
    if counts != facts['counts']:
        raise refused('counts-differ', 'the restored database does not hold the rows of its copy')


def move_aside(session, database, release):
    """There was no database before: what a migration half made is kept, but out of the way."""
    if not any(os.path.exists(database + suffix) for suffix in DATABASE_FILES):
        return
    require_closed(session, database)
    move_files_aside(session, database, release)


def move_files_aside(session, database, release):
    """The database last: while its main file is there, a repeated call moves the rest, too."""
    session.root.folder('copies')
    stamp = datetime.now(timezone.utc).strftime('%Y%m%dT%H%M%S%f')
    aside = session.root.at('copies', 'aside-%s-%s.sqlite3' % (stamp, release))
    for suffix in DATABASE_SUFFIXES + ('',):
        if os.path.exists(database + suffix):
            shutil.move(database + suffix, aside + suffix)
    sync_folder(os.path.dirname(database))
    sync_folder(os.path.dirname(aside))


# ---------------------------------------------------------------- locks

def lock_path(session, name):
    """A lock's file: never unlinked, for a lock on an unlinked file excludes nobody."""
    return session.root.at('state', 'lock-' + name)


def lock(session, args):
    """A kernel lock, held by this process; tried a few times, since a status may just look whether it is held."""
    name = name_arg(args)
    if name in session.locks:
        return
    session.root.folder('state')
    fd = os.open(lock_path(session, name), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        for attempt in range(LOCK_TRIES):
            if try_lock(fd, fcntl.LOCK_EX):
                break
            session.rest(LOCK_RETRY_S)
        else:
            raise Failed('lock-held', name=name, holder=holder_text(fd))
        holder = {'run': session.run, 'client': str(args.get('client') or ''), 'pid': os.getpid(), 'since': now()}
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps(holder).encode()[:MAX_HOLDER_BYTES], 0)
        os.fsync(fd)
    except BaseException:
        os.close(fd)
        raise
    session.locks[name] = fd


def try_lock(fd, kind):
    """Whether the lock was to be had."""
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def holder_text(fd):
    """Who holds a lock, as the holder wrote it."""
    return os.pread(fd, MAX_HOLDER_BYTES, 0).decode('utf-8', 'replace')


def unlock(session, args):
    """Frees a lock that this session holds."""
    fd = session.locks.pop(name_arg(args), None)
    if fd is not None:
        os.ftruncate(fd, 0)
        os.close(fd)


def lock_state(session, name):
    """Who holds a lock, or None: looked at with a shared lock for an instant."""
    try:
        fd = os.open(lock_path(session, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return None if try_lock(fd, fcntl.LOCK_SH) else {'holder': holder_text(fd)}
    finally:
        os.close(fd)


# ---------------------------------------------------------------- the table

Operation = collections.namedtuple('Operation', 'act changes claims told')


def as_given(args):
    """Arguments for the journal, where they hold nothing secret or long."""
    return args


def told_write(args):
    """Contents may be secret: their digest tells whether they are the same."""
    content = args.get('content')
    digest = hashlib.sha256(content.encode('utf-8', 'surrogatepass')).hexdigest() if isinstance(content, str) else None
    return dict({key: value for key, value in args.items() if key != 'content'}, contentSha256=digest)


def told_run(args):
    """Values of the environment may be secret: their names alone."""
    return dict(args, env=sorted(args.get('env') or {}))


def told_put(args):
    """Blobs by number and size."""
    blobs = args.get('blobs') if isinstance(args.get('blobs'), list) else []
    sizes = [pair[1] for pair in blobs if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[1], int)]
    return {'blobs': len(blobs), 'bytes': sum(sizes)}


def told_stage(args):
    """The release's id stands for its manifest."""
    return {'release': args.get('release')}


def reads(act):
    """An operation that changes nothing and is not journaled."""
    return Operation(act, False, False, as_given)


def changes(act, told=as_given):
    """An operation that may change something: one line in the journal."""
    return Operation(act, True, False, told)


def claims(act, told=as_given):
    """One whose change an earlier run must not put back over: it supersedes the runs that began before."""
    return Operation(act, True, True, told)


OPERATIONS = {
    'device.facts': reads(device_facts),
    'device.room': reads(device_room),
    'write': claims(write, told_write),
    'link': claims(link),
    'remove': claims(remove),
    'restore': changes(restore),
    'read': reads(read),
    'run': changes(run, told_run),
    'upload.missing': reads(upload_missing),
    'upload.put': changes(upload_put, told_put),
    'upload.stage': changes(upload_stage, told_stage),
    'service.start': changes(service_start),
    'service.stop': changes(service_stop),
    'stop-all': changes(stop_all),
    'release.pause': changes(release_pause),
    'release.resume': changes(release_resume),
    'release.safe-to-stop': reads(safe_to_stop),
    'release.health': reads(release_health),
    'release.status': reads(release_status),
    'release.known': reads(release_known),
    'release.confirm': claims(release_confirm),
    'release.unconfirm': changes(release_unconfirm),
    'release.discard': changes(release_discard),
    'release.collect': changes(release_collect),
    'secrets.same': reads(secrets_same),
    'data.copy': changes(copy_data),
    'data.drop-copy': changes(drop_copy),
    'data.migrate': claims(migrate),
    'data.restore': changes(restore_data),
    'lock': reads(lock),
    'unlock': reads(unlock),
}


# ---------------------------------------------------------------- entry

def claim_output():
    """The protocol's own descriptor; a stray print of anybody's goes nowhere instead of between two messages."""
    out = os.dup(1)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    return out


def hear_signals(session):
    """TERM, INT and HUP end the session. The handler only writes a byte: it may run inside any lock."""
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    for number in SIGNALS:
        signal.signal(number, lambda got, _: os.write(tell, bytes([got])))

    def wait():
        got = os.read(told, 1)[0]
        session.exit_status = 128 + got
        session.end(signal.Signals(got).name)

    threading.Thread(target=wait, daemon=True).start()


def hello(root):
    """What the client needs to know first."""
    return {'hello': {
        'python': platform.python_version(), 'architecture': platform.machine(), 'system': platform.system(), 'root': root.path,
    }}


def check_header(header):
    """The run's name becomes a folder's name."""
    if not isinstance(header.get('run'), str) or not PLAIN_NAME.match(header['run']):
        raise refused('bad-request', 'run must be a plain name of at most 80 characters')
    port = header.get('publicPort')
    if port is not None and not (isinstance(port, int) and 0 < port < 65536):
        raise refused('bad-request', 'publicPort must be a port or null')


def main(stream, header):
    """One session: from the hello to the end of standard input or a signal."""
    os.umask(0o022)
    out = claim_output()
    try:
        check_header(header)
        root = Root(header['root'])
        sweep_commands(root)
    except Failed as error:
        write_all(out, json.dumps({'hello': {'failure': error.failure}}).encode() + b'\n')
        os._exit(3)
    session = Session(stream, out, header, root)
    hear_signals(session)
    session.send(hello(root))
    threading.Thread(target=session.listen, daemon=True).start()
    while session.ending is None:
        message = session.messages.get()
        if message is not None and session.ending is None:
            perform(session, message)
    # Not through the interpreter's own end: the reader thread sits in a read that only the client can end.
    os._exit(session.exit_status)


if __name__ == '__main__':
    main(STREAM, HEADER)  # noqa: F821  the bootstrap's globals
