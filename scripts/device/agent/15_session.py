# ---------------- session

class Message:
    """One operation that was asked for, and whether it is to end."""

    def __init__(self, data):
        self.id = data.get('id')
        self.op = data.get('op')
        self.args = data['args'] if isinstance(data.get('args'), dict) else {}
        self.framed = bool(data.get('frames'))
        self.frames = None
        self.change = data.get('change')
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
        self.client = str(header.get('client') or '')[:MAX_CLIENT_CHARS]
        self.public_port = header.get('publicPort')
        self.rehearsal = bool(header.get('rehearsal'))
        self.header = header
        self.lease_s = None
        self.undoing = False
        self.booting = False
        self.supervisor = choose_supervisor(self, header)
        self.changing = False
        self.gone = False
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
        silence_ms = header.get('silenceMs')
        self.silence_s = silence_ms / 1000 if isinstance(silence_ms, int) and silence_ms > 0 else None
        self.heard = time.monotonic()
        self.children = {}
        self.spawned = 0
        self.build = None
        self.arrived = {}

    def kept_header(self):
        """The session's header for a keeper, which goes on with this run; the source is not in it."""
        return {key: value for key, value in self.header.items() if key not in ('agent', 'sha256', 'root')}

    def beat(self):
        """The client was heard of: the lease of an armed switch begins anew."""
        if self.lease_s is not None:
            try:
                Switch(self.root).extend(self.lease_s)
            except OSError:
                pass  # no switch any more

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
        self.heard = time.monotonic()
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
        if 'beat' in data:
            self.beat()
            return True
        message = Message(data)
        self.pending[message.id] = message
        self.messages.put(message)
        if message.framed:
            self.heard = None  # whoever takes the bytes sees whether they come
            message.consumed.wait()
            self.heard = time.monotonic()
        return self.ending is None

    def receive(self, view):
        """Some of the raw bytes that follow the operation's line. A client that fell silent does not hold it."""
        os.set_blocking(self.stream.fileno(), False)
        try:
            since = time.monotonic()
            while True:
                got = self.stream.readinto(view)
                if got:
                    break
                silent = self.silence_s is not None and time.monotonic() - since > self.silence_s
                if got == 0 or self.ending or silent:  # None: nothing yet; 0: the end
                    raise ConnectionEnded()
                select.select([self.stream], [], [], PUMP_S)
        finally:
            os.set_blocking(self.stream.fileno(), True)
        self.beat()
        return got

    def frames(self):
        """The contents that follow the operation's line; what came so far, and when, is told often, but not after each."""
        if self.message.framed:
            self.message.frames = Frames(self)
            told, at = 0, 0.0
            for number, content in enumerate(self.message.frames):
                yield content
                came, moment = self.message.frames.content, time.monotonic()
                if number < TELL_FIRST or came - told >= TELL_BYTES or moment - at >= TELL_S:
                    told, at = came, moment
                    self.send({'id': self.message.id, 'received': came, 'ms': round(moment * 1000, 2)})

    def watch_silence(self):
        """
        Ends the session of a client that is gone without a word: a cable that was pulled closes no connection here, and
        the locks would be held for hours.
        """
        while self.ending is None:
            time.sleep(self.silence_s / 4)
            heard = self.heard
            if heard is not None and time.monotonic() - heard > self.silence_s:
                self.end('SIGHUP')

    def drain(self):
        """Reads what the operation left of its frames, so that the next line is a line again."""
        try:
            if self.message.framed:
                frames = self.message.frames or Frames(self)
                if not frames.over:
                    self.send({'id': self.message.id, 'enough': True})
                frames.drain()
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
            if not message.op.startswith('upload.'):
                drop_build(session)  # it reads what other operations may take away
        if message.change is not None:
            intend(session, message.change)
        value, failure = operation.act(session, message.args), None
        if message.change is not None:
            fulfil(session, message.change)
    except Exception as error:  # every failure is an answer, also a defect
        value, failure = None, failure_of(error, session, message.op)
    session.drain()
    if operation is not None and operation.changes and not session.gone:
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
    if not session.changing:
        keep_code(session)
    session.changing = True


def keep_code(session):
    """What this source compiles to, for the next session; the bootstrap sees whether it is whole and ours alone."""
    key = KEY  # noqa: F821  the bootstrap's globals
    if key is None:
        return
    content = marshal.dumps(CODE)  # noqa: F821
    with contextlib.suppress(OSError):
        path = os.path.join(session.root.folder('state'), 'agent.code')
        write_durably(path, hashlib.sha256(key + content).digest() + content)


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
        'at': now(), 'run': session.run, 'client': session.client, 'op': message.op, 'args': operation.told(message.args),
        'outcome': 'ok' if failure is None else told_failure(failure),
    })
    try:
        path = os.path.join(session.root.folder('state'), 'journal.jsonl')
        if os.path.exists(path) and os.path.getsize(path) > MAX_JOURNAL_BYTES:
            os.rename(path, path + '.1')
        append_line(path, line.encode() + b'\n', operation.durable)
    except OSError as error:
        session.output('stderr', 'the journal could not be written: %s\n' % error.strerror)


def append_line(path, line, durable=True):
    """Appends all of it or nothing; a last line that was cut short by something else stays a line of its own."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b'\n':
            line = b'\n' + line
        written = os.write(fd, line)
        if written < len(line):  # the disk is full, and a piece of a line would be read by nobody
            if os.fstat(fd).st_size == size + written:
                os.ftruncate(fd, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)


def told_failure(failure):
    """A failure for the journal: without output, which may hold secrets."""
    return {key: value for key, value in failure.items() if key not in ('tail', 'detail', 'command', 'message')}
