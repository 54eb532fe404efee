# ---------------- processes

Process = collections.namedtuple('Process', 'group session started')


def boot():
    """Names this boot: start times are counted from it. A container's kernel does not boot with it; its first process does."""
    try:
        with open('/proc/sys/kernel/random/boot_id') as file:
            kernel = file.read()[:8]
    except OSError:
        kernel = 'boot'
    try:
        with open('/proc/1/stat', errors='replace') as file:
            return '%s.%s' % (kernel, file.read().rpartition(')')[2].split()[19])
    except (OSError, IndexError):  # not ours to see (hidepid), or no /proc
        return kernel


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
    if (leader is not None and leader.started != started) or (LINUX and not started.startswith(BOOT + '-')):
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


def execute(session, argv, cwd, env, timeout_s=DEFAULT_TIMEOUT_S, grace_s=DEFAULT_GRACE_S, capture=False, ok_exits=(0,), unit=None, told=None):
    """
    Runs a command to its end and returns what it printed; the end of it is the end of its whole session. `unit` is where
    systemd runs it, `told` what a failure calls it.
    """
    session.spawned += 1
    record_path = os.path.join(session.root.folder('state', 'commands'), '%d-%d.json' % (os.getpid(), session.spawned))
    agent = process(os.getpid())
    record = {'agent': {'pid': os.getpid(), 'started': agent.started if agent else ''}, 'unit': unit}
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
    return conclude(session, told or argv, running, why, timeout_s, ok_exits)


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
            if record.get('unit'):
                stop_transient(record['unit'])
        unlink(os.path.join(folder, name))
