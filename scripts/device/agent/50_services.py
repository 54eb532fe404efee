# ---------------- services

WEB_SERVER = 'nginx'
WEB_SERVER_MB = 64
# Whether the supervisor of this process brings a web server; set once, when the session begins.
FRONTS = False


class Table:
    """What runs of this root at one moment: the records, the processes, and the marks in their environments."""

    def __init__(self, session):
        reap(session)
        self.session = session
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

    def pid(self, name):
        """The process that stands for a service, or None."""
        return self.records[name]['pid'] if self.runs(name) else next(iter(sorted(self.members(name))), None)

    def marked_release(self, members):
        """The release that unrecorded processes say they run from."""
        return next((self.environments[pid].get('RELEASE_ID') for pid in members if pid in self.environments), None)

    def ended(self, name):
        """Whether a service that was ready ended by itself, for those who just started it."""
        record = self.records.get(name)
        return record is not None and record.get('phase') == 'ready' and not self.runs(name)

    def problem(self, service, release):
        """What is wrong with a service as far as its processes tell, or None."""
        record = self.records.get(service['name'])
        if record is None or not self.runs(service['name']):
            return '%s does not run' % service['name']
        return None if record['release'] == release else '%s runs from release %s' % (service['name'], record['release'])


class Plain:
    """The supervisor that needs nothing: a service is a process in a session of its own, with a record and a log."""

    name = 'plain'
    fronts = False
    seals = False  # services run as whoever owns the releases

    def __init__(self, session):
        self.session = session

    def table(self):
        """What runs at this moment."""
        return Table(self.session)

    def await_boot(self):
        """Nothing of it runs at boot."""

    def owner(self, path):
        """Who a written file must belong to, or None: whoever writes it."""
        return None

    def start(self, name, release, manifest, service, port):
        """Starts it and waits until it is ready; a failed start leaves no process."""
        session = self.session
        session.root.folder('shared', 'data')  # what it is told to write to is there
        begin = start_process(session, name, release, manifest, service, port)
        try:
            await_ready(session, name, service, begin)
        except BaseException:
            # Also when cancelled: whoever asked is told that it failed, so nothing may go on running.
            end_service(session, name, SERVICE_GRACE_S, time.sleep)
            unlink(session.root.at('run', name + '.json'))
            raise

    def stop(self, name):
        """Ends it whole and waits until its port is free; nothing when it does not run."""
        stop_service(self.session, name)

    def ended(self, name, record, when):
        """The failure that says how it ended."""
        return service_ended(self.session, name, self.session.children.get(record['pid']), record.get('begin') or 0, when)

    def execute(self, argv, tree, env, timeout_s, capture, ok_exits):
        """Runs a command that a release declares."""
        return execute(self.session, argv, tree, env, timeout_s, capture=capture, ok_exits=ok_exits)

    def lines_since(self, name, record):
        """What it logged since its start, its last part where that is long."""
        return log_lines(self.session.root.at('logs', name + '.log'), record.get('begin') or 0, MAX_COUNTED_LOG_BYTES)

    def watch(self, argv, log, lease_s):
        """Has a process of its own session watch an armed switch; it outlives this one, and says when it is there."""
        with open(log, 'wb') as out:
            child = subprocess.Popen(
                argv, cwd=self.session.root.path, env=basic_environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                close_fds=True, start_new_session=True)
        self.session.children[child.pid] = child

    def watches(self, watched):
        """Whether what was recorded to watch still does."""
        return alive(watched)

    def unwatch(self, watched):
        """Ends what watches."""
        if watched['pid'] != os.getpid():
            end_processes(lambda: {watched['pid']} if alive(watched) else set(), 1.0, time.sleep)

    def memory_mb(self, table, name):
        """Memory of a service: the shares of its processes added up."""
        return shared_memory_mb(table.members(name))

    def logs(self, name, lines, follow):
        """Puts out the last lines of its log, and then what comes."""
        file_logs(self.session, name, lines, follow)

    def missing(self, services):
        """What the services need of the board and it does not have, in words."""
        return []

    def units_diff(self, system):
        """How what is installed would change: nothing is."""
        return ''

    def collect(self):
        """Takes away what is installed for services that are no more: nothing is."""

    def remove(self):
        """Takes away what is installed outside the root: nothing is."""


def fronted(system):
    """
    A system's services. Where the supervisor brings a web server, it is one more, in front of the one that it
    hands requests to: it has the public port, and that one a private.
    """
    services, web = system.get('services') or [], system.get('web')
    if not web or not FRONTS:
        return services
    behind = next((one for one in services if one['name'] == web.get('service')), None)
    if behind is None:
        raise refused('bad-manifest', 'web names no service: %r' % (web.get('service'),))
    front = {'name': WEB_SERVER, 'listens': 'public', 'memoryMb': WEB_SERVER_MB, 'after': [behind['name']]}
    if behind.get('health'):
        front['health'] = behind['health']
    return [dict(one, listens='private') if one is behind else one for one in services] + [front]


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


class Filler:
    """Puts ports and paths into what is declared; `tree` is where the release lies, `port` tells a service's port."""

    def __init__(self, session, manifest, tree, port):
        self.session = session
        self.manifest = manifest
        self.tree = tree
        self.port = port

    def text(self, text):
        """A declared text."""
        if isinstance(text, str):
            return text
        if isinstance(text, list):
            return ''.join(self.text(part) for part in text)
        if isinstance(text, dict) and 'port' in text:
            service = service_named(self.manifest, text['port'])
            port = self.port(service) if service else None
            if port is None:
                raise refused('bad-manifest', 'no service %r that listens is declared' % (text['port'],))
            return str(port)
        root = self.session.root
        paths = {'data': root.at('shared', 'data'), 'secrets': root.at('shared', 'secrets.env'), 'release': self.tree}
        if isinstance(text, dict) and text.get('path') in paths:
            return paths[text['path']]
        raise refused('bad-manifest', 'not a text for a service: %r' % (text,))

    def command(self, argv):
        """A declared command; `python3` is the interpreter that runs the agent."""
        filled = [self.text(part) for part in argv]
        return [sys.executable] + filled[1:] if filled[0] == 'python3' else filled

    def environment(self, env):
        """What declared programs get beyond the basics. Bytecode goes elsewhere: nothing is ever written into a release."""
        more = {name: self.text(value) for name, value in (env or {}).items()}
        return dict({'PYTHONPYCACHEPREFIX': self.session.root.at('cache')}, **more)


def filler(session, release, manifest):
    """The filler for what runs from a release now; it makes the data folder."""
    session.root.folder('shared', 'data')
    return Filler(session, manifest, tree_of(session, release), lambda service: port_of(session, service))


def service_start(session, args):
    """Starts a declared service of a release, unless it runs from it already."""
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
    session.supervisor.start(name, release, manifest, service, port)


def holder_words(port):
    """Who listens there, for a message."""
    pid = port_holder(port)
    return 'process %d' % pid if pid is not None else 'another process'


def runs_already(session, name, release):
    """Whether it runs from this release; refuses when something else of it runs."""
    table = session.supervisor.table()
    record, members = table.records.get(name), table.members(name)
    if record is not None and table.runs(name) and record['release'] == release and record.get('phase') == 'ready':
        return True
    if record is not None and members and record['release'] == release:
        # A start or a stop that was cut off: it counts for nothing, so it ends and begins again.
        session.supervisor.stop(name)
        return False
    if members:
        release = record['release'] if record else table.marked_release(members)
        raise refused('still-running', '%s runs from release %s (process %d); stop that first' % (name, release, sorted(members)[0]))
    return False


def start_process(session, name, release, manifest, service, port):
    """Spawns it; returns where in its log this start begins."""
    log = rotated_log(session, name)
    filled = filler(session, release, manifest)
    argv = filled.command(service['argv'])
    env = dict(basic_environment(), RELEASE_ID=release, **filled.environment(service.get('env')))
    env[MARK] = '%s/%s' % (session.root.mark, name)
    place = os.path.join(session.root.folder('run'), name + '.json')
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        begin = os.fstat(fd).st_size
        record = {'name': name, 'release': release, 'argv': argv, 'port': port, 'phase': 'starting', 'begin': begin, 'since': time.time()}
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
    return [line[:MAX_TAIL_LINE_CHARS] for line in log_lines(path, begin, MAX_LOG_TAIL_BYTES)[-MAX_TAIL_LINES:]]


def log_lines(path, begin, at_most):
    """A log from `begin`, its last part where that is long; nothing without a log."""
    try:
        with open(path, 'rb') as file:
            file.seek(max(begin, os.fstat(file.fileno()).st_size - at_most))
            return file.read(at_most).decode('utf-8', 'replace').splitlines()
    except FileNotFoundError:
        return []


def ask_health(port, health):
    """`(status, body, problem)` of a health path; asked directly, past any proxy."""
    if port is None:
        return None, b'', 'declares a health path and no port'
    connection = http_client.HTTPConnection('127.0.0.1', port, timeout=HEALTH_S)
    try:
        connection.request('GET', health['path'], headers={'Connection': 'close'})
        answer = connection.getresponse()
        return answer.status, answer.read(MAX_HEALTH_BODY_BYTES), None
    except (OSError, http_client.HTTPException) as error:
        return None, b'', str(error) or type(error).__name__
    finally:
        connection.close()


def service_problem(table, release, service):
    """What is wrong with one declared service, or None."""
    name = service['name']
    problem = table.problem(service, release)
    if problem is not None:
        return problem
    record = table.records[name]
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
        if record is not None and record['release'] == release and table.ended(name):
            raise session.supervisor.ended(name, record, 'after it was ready')


def release_health(session, args):
    """Whether everything that a release declares runs from it and answers as it."""
    release = release_arg(args)
    manifest = manifest_of(session, release)
    table = session.supervisor.table()
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
    session.supervisor.stop(name_arg(args))


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
    if Switch(session.root).is_open:
        # Nothing may watch over what is stopped for good, and nothing half switched is left behind.
        with switch_held(session.root) as switch:
            if switch.state == 'armed':
                switch.append(**{'is': 'taking-back', 'why': 'everything was to be stopped', 'at': now()})
        put_back(session)
    names = running_order(manifest, sorted(session.supervisor.table().names()))
    for name in names:
        session.supervisor.stop(name)
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
    filled = filler(session, release, manifest)
    environment = dict(basic_environment(), RELEASE_ID=release, **filled.environment(env))
    return session.supervisor.execute(filled.command(command), tree_of(session, release), environment, timeout_s, capture, ok_exits)


def safe_to_stop(session, args):
    """Asks the running services of a release whether they may be stopped; what is no answer counts as unsafe."""
    if args.get('release') is None:
        return {'safe': True, 'open': []}
    release = release_arg(args)
    manifest = manifest_of(session, release)
    table = session.supervisor.table()
    open_work = []
    for service in services_of(manifest):
        record = table.records.get(service['name'])
        if service.get('safeToStop') and record and table.runs(service['name']) and record['release'] == release:
            open_work += open_in(session, release, manifest, service)
    return {'safe': not open_work, 'open': open_work}


def ask_safe(session, release, manifest, service):
    """`(answer, problem)` of its `safeToStop`."""
    return declared_answer(session, release, manifest, service['safeToStop'], service.get('env'), SAFE_TO_STOP_S)


def declared_answer(session, release, manifest, command, env, timeout_s):
    """`(answer, problem)`: the JSON object on the last line of a declared command; exit statuses 0 and 1 both are answers."""
    try:
        said = run_declared(session, release, manifest, command, env, timeout_s, True, (0, 1))
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
