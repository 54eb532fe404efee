# ---------------- services under systemd

SERVICE_USER = 'slipway'
USER_COMMENT = 'Services of Slipway'
SYSTEMCTL_S = 90.0
VERIFY_S = 60.0
JOURNAL_S = 10.0
LIVE_STATES = ('active', 'reloading', 'activating', 'deactivating', 'maintenance')
SHOWN = (
    'Id', 'LoadState', 'ActiveState', 'SubState', 'MainPID', 'NRestarts', 'InvocationID', 'ExecMainCode', 'ExecMainStatus',
    'Result', 'MemoryCurrent', 'ControlGroup', 'NeedDaemonReload', 'Job',
)
NO_JOB = (None, '', '0')
EXITED = '1'  # of ExecMainCode, as CLD_EXITED
SOUND_ROOT = re.compile(r'(/[A-Za-z0-9._@+-]+)+\Z')


def choose_supervisor(session, header):
    """The one supervisor of this process."""
    global FRONTS
    chosen = Systemd(session, header) if header.get('supervisor') == 'systemd' else Plain(session)
    FRONTS = chosen.fronts
    return chosen


def tool(argv, seconds=SYSTEMCTL_S):
    """Runs one of the system's own tools; its status and what it said."""
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, close_fds=True, start_new_session=True,
        timeout=seconds, env={'PATH': DEFAULT_PATH, 'LC_ALL': 'C.UTF-8'})
    return done.returncode, done.stdout.decode('utf-8', 'replace'), done.stderr.decode('utf-8', 'replace')


def demand(argv, seconds=SYSTEMCTL_S):
    """The same, when it must go well; what it printed."""
    status, said, complaint = tool(argv, seconds)
    if status != 0:
        raise refused('systemd-refused', '%s: %s' % (shown(argv[:4]), (complaint or said).strip()[-MAX_COMMAND_CHARS:]))
    return said


def show_units(units):
    """systemd's facts about units, all from one call."""
    facts = {}
    if units:
        said = demand(['systemctl', 'show', '--property=' + ','.join(SHOWN)] + sorted(units))
        for block in said.split('\n\n'):
            pairs = dict(line.partition('=')[::2] for line in block.splitlines())
            facts[pairs.get('Id')] = pairs
    return facts


def units_of_root(root):
    """`{ SERVICE: unit }` of the units that are installed for this root, as they say themselves."""
    found = {}
    for unit in names_in(UNIT_FOLDER):
        if unit.startswith('slipway-') and unit.endswith('.service'):
            said = stamp_of(os.path.join(UNIT_FOLDER, unit))
            if said.get('Root') == root.path and said.get('Service'):
                found[said['Service']] = unit
    return found


def stamp_of(path):
    """What a unit's section `X-Slipway` says."""
    try:
        with open(path, errors='replace') as file:
            section = file.read().partition('[X-Slipway]\n')[2]
    except OSError:
        return {}
    return dict(line.partition('=')[::2] for line in section.splitlines())


class SystemdTable(Table):
    """The same table, where units stand for the processes; what the plain supervisor left behind is seen, too."""

    def __init__(self, session):
        Table.__init__(self, session)
        self.units = units_of_root(session.root)
        self.facts = show_units(set(self.units.values()))

    def fact(self, name):
        """systemd's facts about a service; empty without a unit."""
        return self.facts.get(self.units.get(name), {})

    def names(self):
        """What the plain table finds, and units that are not at rest."""
        return Table.names(self) | {name for name in self.units if self.fact(name).get('ActiveState') in LIVE_STATES}

    def members(self, name):
        """All processes of a service. One that waits to be started again has none, and is there nevertheless."""
        fact, found = self.fact(name), Table.members(self, name)
        return found | {int(fact['MainPID'])} if fact.get('ActiveState') in LIVE_STATES else found

    def runs(self, name):
        """Whether its unit is up."""
        if 'unit' not in (self.records.get(name) or {}):
            return Table.runs(self, name)
        return self.fact(name).get('ActiveState') in ('active', 'reloading')

    def pid(self, name):
        """Its main process, or None."""
        if 'unit' not in (self.records.get(name) or {}):
            return Table.pid(self, name)
        return int(self.fact(name).get('MainPID') or 0) or next((pid for pid in sorted(Table.members(self, name))), None)

    def ended(self, name):
        """Whether it ended by itself since it was ready, also if systemd started it again."""
        record = self.records.get(name)
        if record is None or record.get('phase') != 'ready' or 'unit' not in record:
            return Table.ended(self, name)
        return not self.runs(name) or self.restarts(name) > 0

    def restarts(self, name):
        """How often systemd started it again since it was ready; at a boot the count begins anew."""
        record = self.records[name]
        before = record.get('restarts') or 0 if record.get('boot') == BOOT else 0
        return int(self.fact(name).get('NRestarts') or 0) - before

    def problem(self, service, release):
        """Beyond the record: a service that reports no release itself must be seen to run from it."""
        problem = Table.problem(self, service, release)
        if problem is not None or (service.get('health') or {}).get('release') or service['name'] == WEB_SERVER:
            return problem
        pid = self.pid(service['name'])
        if self.environments.get(pid, {}).get('RELEASE_ID') != release:
            return '%s: process %s does not have this release in its environment' % (service['name'], pid)
        try:
            here = os.path.samefile('/proc/%d/cwd' % pid, tree_of(self.session, release))
        except PermissionError:  # where root itself may not look, in some containers, the pointer says where it started
            here = os.readlink(self.session.root.at('live', service['name'])) == os.path.join('..', 'releases', release)
        except OSError:
            here = False
        return None if here else '%s: process %d does not work in the release' % (service['name'], pid)


class Systemd:
    """Each service is a unit: hardened, started at boot, restarted when it fails. Whoever installs them is root."""

    name = 'systemd'
    fronts = True
    seals = True  # releases are root's, and services are others: none can write a release

    def __init__(self, session, header):
        self.session = session
        self.login = header.get('login') or 'root'
        self.version = None
        if os.geteuid() != 0:
            raise refused('not-root', 'to install units takes root: log in as root, or set X_SUDO')
        if not os.path.isdir('/run/systemd/system') or which('systemctl') is None:
            raise refused('no-systemd', 'this board was not booted by systemd; X_SUPERVISOR=plain needs none')
        if not SOUND_ROOT.match(session.root.path):
            raise refused('root-unfit', '%r: with systemd a root is made of letters, digits and . _ @ + - alone' % session.root.path)

    def table(self):
        """What runs at this moment."""
        return SystemdTable(self.session)

    # ---- who services are, and what belongs to them

    def account(self):
        """Who services run as: the login, or a user made for them where that is root."""
        name = self.login if self.login != 'root' else SERVICE_USER
        try:
            return pwd.getpwnam(name)
        except KeyError:
            if name != SERVICE_USER:
                raise refused('no-such-user', 'there is no user %s' % name)
        demand([
            'useradd', '--system', '--user-group', '--no-create-home', '--home-dir', '/nonexistent',
            '--shell', '/usr/sbin/nologin', '--comment', USER_COMMENT, SERVICE_USER])
        return pwd.getpwnam(name)

    def owner(self, path):
        """Secrets are for the services to read; all else that is written is root's."""
        if path != self.session.root.at('shared', 'secrets.env'):
            return None
        account = self.account()
        return account.pw_uid, account.pw_gid

    def prepare(self):
        """The root as services need it: they may pass to their data, and nothing but that and the bytecode is theirs."""
        root, account = self.session.root, self.account()
        secrets = root.at('shared', 'secrets.env')
        theirs = [root.folder('shared', 'data'), root.folder('cache')]
        root.folder('live')
        root.folder('releases')
        for name in names_in(root.path):
            if root.at(name) not in theirs:
                own_tree(root.at(name), 0, 0, theirs + [secrets])
        for path in theirs + ([secrets] if os.path.lexists(secrets) else []):
            own_tree(path, account.pw_uid, account.pw_gid, [])
        os.chmod(root.at('shared'), 0o711)
        return account

    def site(self, system):
        """What unit texts depend on beside the declarations."""
        if not PLAIN_NAME.match(system.get('name') or ''):
            raise refused('bad-manifest', 'with systemd a system has a plain name, not %r' % (system.get('name'),))
        if self.version is None:
            said = demand(['systemctl', '--version'])
            self.version = int((re.match(r'systemd (\d+)', said) or [0, 0])[1])
        user = self.login if self.login != 'root' else SERVICE_USER
        try:
            group = grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
        except KeyError:
            group = user  # it will be made
        root = self.session.root
        return Site(root.path, root.mark, system['name'], user, group, self.version)

    # ---- units

    def texts(self, system, place, port):
        """`{ unit: text }` of a system's services. `place` tells where a service's release lies, `port` its port."""
        site, manifest, made = self.site(system), {'system': system}, {}
        for service in services_of(manifest):
            filled = Filler(self.session, manifest, place(service), port)
            env = dict({MARK: '%s/%s' % (site.mark, service['name'])}, LANG='C.UTF-8', **filled.environment(service.get('env')))
            web = service['name'] == WEB_SERVER and system.get('web')
            runtime = 'slipway-%s-%s' % (site.system, service['name'])
            argv = [self.nginx() or WEB_SERVER, '-c', self.conf_path()] if web else filled.command(service['argv'])
            more = [('RuntimeDirectory', runtime), ('RuntimeDirectoryMode', '0700')] if web else []
            number = port(service) if service.get('listens') else None
            made[unit_of(site.system, service['name'])] = unit_text(
                site, service, argv, env, number if isinstance(number, int) else None, more)
        return made

    def live(self, service):
        """A service's release, by its pointer."""
        return self.session.root.at('live', service['name'])

    def nginx(self):
        """The web server, if the board has one."""
        return which(WEB_SERVER)

    def conf_path(self):
        """Its configuration: one of its own, never the system's."""
        return self.session.root.at(WEB_SERVER, WEB_SERVER + '.conf')

    def conf(self, system, port, runtime='/run/slipway-%s-nginx'):
        """Its text, or None where no web server is declared."""
        services = {one['name']: one for one in services_of({'system': system})}
        if not system.get('web'):
            return None
        behind = services[system['web']['service']]
        live = self.session.root.at('live', WEB_SERVER)
        shown_port, ipv6 = port(services[WEB_SERVER]), os.path.exists('/proc/net/if_inet6')
        return nginx_conf(system['web'], live, runtime % system['name'], shown_port, port(behind), ipv6)

    def missing(self, services):
        """The web server, where one is declared and the board has none."""
        wanted = any(service['name'] == WEB_SERVER for service in services)
        return ['nginx is not installed'] if wanted and self.nginx() is None else []

    def install(self, release, manifest):
        """Units of the release, where they are not installed as they should be: verified, written for good, known to systemd."""
        system, root = manifest['system'], self.session.root

        def port(service):
            return port_of(self.session, service)

        conf = self.conf(system, port)
        if conf is not None and text_at(self.conf_path()) != conf:
            self.test_conf(system, release, port)
            root.folder(WEB_SERVER)
            write_durably(self.conf_path(), conf.encode(), 0o644)
        texts = self.texts(system, self.live, port)
        changed = {unit: text for unit, text in texts.items() if text_at(os.path.join(UNIT_FOLDER, unit)) != text}
        for unit in changed:
            path = os.path.join(UNIT_FOLDER, unit)
            if os.path.lexists(path) and stamp_of(path).get('Root') != root.path:
                raise refused('unit-taken', '%s belongs to %s' % (unit, stamp_of(path).get('Root') or 'somebody else'))
        if changed:
            # As if the pointers were set: what a command names must be there, in this release.
            self.verify(self.texts(system, lambda service: tree_of(self.session, release), port), release, changed)
            for unit, text in changed.items():
                write_durably(os.path.join(UNIT_FOLDER, unit), text.encode(), 0o644)
            demand(['systemctl', 'daemon-reload'])

    def verify(self, texts, release, changed):
        """`systemd-analyze verify`: whatever it says about one of these units is a refusal. It reads others, too."""
        root = self.session.root
        folder = root.folder('state', 'units')
        try:
            for unit in changed:
                text = texts[unit].replace(root.at('live') + os.sep + name_in(texts[unit]) + '/', tree_of(self.session, release) + '/')
                with open(os.path.join(folder, unit), 'w') as file:
                    file.write(text)
            paths = [os.path.join(folder, unit) for unit in changed]
            status, said, complaint = tool(['systemd-analyze', 'verify', '--man=no'] + paths, VERIFY_S)
        finally:
            remove_tree(folder)
        ours = [line for line in (said + complaint).splitlines() if any(unit in line for unit in changed)]
        others = [line for line in complaint.splitlines() if line not in ours]
        if ours or (status != 0 and not others):
            raise refused('unit-refused', '\n'.join(ours) or 'systemd-analyze ended with status %d' % status)

    def test_conf(self, system, release, port):
        """`nginx -t` as the user, and in the confinement, that it will have."""
        folder = self.session.root.folder(WEB_SERVER)
        path = os.path.join(folder, 'new.conf')
        runtime = 'slipway-%s-nginx-test' % system['name']
        write_durably(path, self.conf(system, port, '/run/slipway-%s-nginx-test').encode(), 0o644)
        argv = [self.nginx() or WEB_SERVER, '-t', '-q', '-c', path]
        try:
            number = port(service_named({'system': system}, WEB_SERVER))
            more = [('RuntimeDirectory', runtime), ('RuntimeDirectoryMode', '0700')]
            self.transient(system, argv, tree_of(self.session, release), {}, VERIFY_S, False, (0,), number, more)
        finally:
            unlink(path)

    def units_diff(self, system):
        """How installing this system's units would change what is installed, as a unified diff; nothing is chosen or made."""
        kept = read_json(self.session.root.at('state', 'ports.json')) or {}

        def port(service):
            if service.get('listens') == 'public' and self.session.public_port is not None:
                return self.session.public_port
            return kept.get(service['name'], '‹port of %s›' % service['name']) if service.get('listens') else None

        texts = {os.path.join(UNIT_FOLDER, unit): text for unit, text in self.texts(system, self.live, port).items()}
        conf = self.conf(system, port)
        if conf is not None:
            texts[self.conf_path()] = conf
        gone = [unit for name, unit in units_of_root(self.session.root).items() if os.path.join(UNIT_FOLDER, unit) not in texts]
        texts.update((os.path.join(UNIT_FOLDER, unit), None) for unit in gone)
        if conf is None and os.path.exists(self.conf_path()):
            texts[self.conf_path()] = None
        lines = []
        for path, text in sorted(texts.items()):
            found = text_at(path)
            names = (path if found is not None else '/dev/null', path if text is not None else '/dev/null')
            lines += difflib.unified_diff((found or '').splitlines(), (text or '').splitlines(), *names, lineterm='', n=1)
        return '\n'.join(lines)

    # ---- start and stop

    def start(self, name, release, manifest, service, port):
        """Starts it from a release and waits until it is ready; a failed start leaves nothing running."""
        session, system = self.session, manifest['system']
        account = self.prepare()
        unit = unit_of(self.site(system).system, name)
        place = os.path.join(session.root.folder('run'), name + '.json')
        record = {'name': name, 'release': release, 'port': port, 'unit': unit, 'phase': 'starting', 'boot': BOOT, 'since': time.time()}
        write_json(place, record)
        try:
            link_durably(self.live(service), os.path.join('..', 'releases', release))
            write_durably(self.live(service) + '.env', ('RELEASE_ID=%s\n' % release).encode(), 0o600)
            self.install(release, manifest)
            if session.booting:
                # Services come after what puts back at boot: to wait for them here would be to wait for ever.
                demand(['systemctl', 'start', '--no-block', unit])
                restarts = 0
            else:
                self.launch(unit)
                restarts = self.await_ready(name, service, record)
            enable(unit)
            write_json(place, dict(record, phase='ready', restarts=restarts))
        except BaseException:
            self.halt(unit, time.sleep)
            unlink(place)
            raise
        return account

    def launch(self, unit):
        """A start job to its end: the program was executed, or said that it is ready."""
        fact = show_units([unit]).get(unit, {})
        if fact.get('NeedDaemonReload') == 'yes':
            demand(['systemctl', 'daemon-reload'])
        # Whoever deploys often must not run into the limit that is meant for a service that keeps failing.
        tool(['systemctl', 'reset-failed', unit])
        self.job(['systemctl', 'start', unit], self.session.rest)

    def job(self, argv, rest):
        """Runs systemctl while cancels are heard; its status and complaint."""
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=True,
            start_new_session=True, env={'PATH': DEFAULT_PATH, 'LC_ALL': 'C.UTF-8'})
        try:
            pause = REAP_S
            while child.poll() is None:
                rest(pause)
                pause = min(pause * 2, POLL_S)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        return child.returncode

    def await_ready(self, name, service, record):
        """Until its health path answers 200, or, without one, it has lived for a while; how often it was restarted: never."""
        deadline = time.monotonic() + READY_S
        lives_until = time.monotonic() + ALIVE_S
        while True:
            fact = show_units([record['unit']]).get(record['unit'], {})
            if fact.get('ActiveState') not in ('active', 'reloading') or int(fact.get('NRestarts') or 0) > 0:
                raise self.ended(name, record, 'before it was ready', fact)
            if service.get('health') is None and time.monotonic() >= lives_until:
                return 0
            if service.get('health') is not None and ask_health(record['port'], service['health'])[0] == 200:
                return 0
            if time.monotonic() >= deadline:
                raise Failed('timed-out', what='%s is ready' % name, timeoutMs=int(READY_S * 1000))
            self.session.rest(POLL_S)

    def stop(self, name):
        """Ends it whole, and waits until its port is free; it stays so over a boot. Nothing when it does not run."""
        session = self.session
        place = session.root.at('run', name + '.json')
        record = read_json(place)
        unit = (record or {}).get('unit') or units_of_root(session.root).get(name)
        runs = bool(self.table().members(name))
        if runs and record is not None:
            write_json(place, dict(record, phase='stopping'))
        if unit is not None:
            self.halt(unit, session.rest)
        if runs:
            end_service(session, name, grace_of(session, name), session.rest)  # what a plain supervisor left
        if runs and record is not None and record['port'] is not None:
            await_free(session, name, record['port'])
        unlink_durably(place)

    def halt(self, unit, rest):
        """A unit at rest, also at the next boot; one that was never known is so already."""
        disable(unit)
        fact = show_units([unit]).get(unit, {})
        if fact.get('ActiveState') in LIVE_STATES or fact.get('Job') not in NO_JOB:
            if self.job(['systemctl', 'stop', unit], rest) != 0:
                demand(['systemctl', 'stop', unit])
        if show_units([unit]).get(unit, {}).get('ActiveState') == 'failed':
            tool(['systemctl', 'reset-failed', unit])

    def ended(self, name, record, when, fact=None):
        """The failure that says how it ended, with its last words."""
        fact = fact or show_units([record['unit']]).get(record['unit'], {})
        code, status = fact.get('ExecMainCode') or '0', fact.get('ExecMainStatus') or '0'
        how = '' if code == '0' else ' with %s %s' % ('exit status' if code == EXITED else 'signal', status)
        if fact.get('Result') not in (None, '', 'success', 'exit-code', 'signal'):
            how += ' (%s)' % fact['Result']
        tail = [line[:MAX_TAIL_LINE_CHARS] for line in self.lines_since(name, record)[-MAX_TAIL_LINES:]]
        return refused('service-ended', '\n'.join(['%s ended%s %s' % (name, how, when)] + tail))

    def lines_since(self, name, record):
        """What it logged since its start, from the system's journal."""
        unit, since = record.get('unit'), record.get('since')
        if unit is None or since is None:
            return []
        tool(['journalctl', '--sync'], JOURNAL_S)
        argv = ['journalctl', '--quiet', '--no-pager', '--output=cat', '--since=@%.6f' % since, '_SYSTEMD_UNIT=' + unit]
        return tool(argv, JOURNAL_S)[1][-MAX_COUNTED_LOG_BYTES:].splitlines()

    def logs(self, name, lines, follow):
        """The same from the system's journal."""
        unit = (read_json(self.session.root.at('run', name + '.json')) or {}).get('unit') or units_of_root(self.session.root).get(name)
        if unit is None:
            return file_logs(self.session, name, lines, follow)
        argv = ['journalctl', '--quiet', '--no-pager', '--unit=' + unit, '--output=cat', '--lines=%d' % lines]
        execute(self.session, argv + (['--follow'] if follow else []), self.session.root.path, basic_environment(), timeout_s=FOLLOW_S)

    def memory_mb(self, table, name):
        """Memory of a service: its unit's own account."""
        account = table.fact(name).get('MemoryCurrent') or ''
        return round(int(account) / MIB, 1) if account.isdigit() else shared_memory_mb(table.members(name))

    # ---- commands of a release

    def execute(self, argv, tree, env, timeout_s, capture, ok_exits):
        """Runs a command that a release declares, as its services run: the same user, the same confinement."""
        release = env['RELEASE_ID']
        system = manifest_of(self.session, release)['system']
        self.prepare()
        return self.transient(system, argv, tree, env, timeout_s, capture, ok_exits)

    def transient(self, system, argv, tree, env, timeout_s, capture, ok_exits, port=None, more=()):
        """A command in a unit of its own, which ends with it, and with the unit of this agent."""
        site = self.site(system)
        unit = unit_of(site.system, 'run-%d-%d' % (os.getpid(), self.session.spawned))
        pairs = sandbox(site, {}, port) + list(more)
        agent = own_unit()
        # At boot this agent's own unit is not up before all is done: what comes after it would be waited for for ever.
        if agent is not None and not self.session.booting:
            pairs += [('BindsTo', agent), ('After', agent)]
        wanted = {name: value for name, value in env.items() if name not in ('PATH', 'HOME')}
        program = [unit_path(site, argv[0], '')] if '/' not in argv[0] else [os.path.join(tree, argv[0])]
        command = ['systemd-run', '--pipe', '--wait', '--quiet', '--collect', '--unit=' + unit, '--working-directory=' + tree]
        # One of its own, since what systemd takes from a command has its line ends in it.
        command += ['--description=A command of %s' % site.system]
        command += ['--property=%s=%s' % pair for pair in pairs] + ['--setenv=%s=%s' % pair for pair in sorted(wanted.items())]
        command += ['--'] + program + [part.replace('$', '$$') for part in argv[1:]]
        plain = {'PATH': DEFAULT_PATH, 'LANG': 'C.UTF-8'}
        try:
            return execute(
                self.session, command, self.session.root.path, plain, timeout_s, capture=capture, ok_exits=ok_exits, unit=unit,
                told=argv)
        finally:
            stop_transient(unit)

    # ---- the dead-man's switch

    def watch(self, argv, log, lease_s):
        """
        A timer for the end of the lease, and a unit that runs at boot, before any service; both do the same, and what the
        timer starts waits where the lease was made longer. Recorded once systemd says that it runs.
        """
        root, unit = self.session.root, 'slipway-switch-%s' % self.session.root.mark
        self.install_boot(argv)
        stop_transient(unit + '.service')
        tool(['systemctl', 'stop', unit + '.timer'])
        tool(['systemctl', 'reset-failed', unit + '.service'])
        demand([
            'systemd-run', '--quiet', '--collect', '--unit=' + unit, '--description=' + KEEPER, '--on-active=%dms' % (lease_s * 1000),
            '--timer-property=AccuracySec=100ms', '--timer-property=RemainAfterElapse=no', '--working-directory=' + root.path,
            '--property=StandardOutput=append:' + log, '--property=StandardError=append:' + log,
            '--property=Restart=on-failure', '--property=RestartSec=1', '--',
        ] + [part.replace('$', '$$') for part in argv])
        with switch_held(root) as switch:
            if switch.state == 'armed' and self.watches({'timer': unit}):
                switch.append(**{'is': 'watched', 'timer': unit})

    def watches(self, watched):
        """Whether the timer runs down, or what it started runs."""
        unit = watched.get('timer')
        facts = show_units([unit + '.timer', unit + '.service']) if unit else {}
        return any(fact.get('ActiveState') in LIVE_STATES for fact in facts.values())

    def unwatch(self, watched):
        """Ends the timer, and what it started unless that is this very process."""
        unit = watched.get('timer')
        if unit:
            tool(['systemctl', 'stop', unit + '.timer'])
            if own_unit() != unit + '.service':
                stop_transient(unit + '.service')

    def install_boot(self, argv):
        """The unit that puts back at boot what was not confirmed. It stays, and does nothing where there is nothing to do."""
        root = self.session.root
        record = read_record(self.session, Switch(root).armed['release'])
        path = os.path.join(UNIT_FOLDER, unit_of(record['manifest']['system']['name'], BOOT_SERVICE))
        text = boot_text(root.path, record['manifest']['system']['name'], argv)
        if text_at(path) != text:
            if os.path.lexists(path) and stamp_of(path).get('Root') != root.path:
                raise refused('unit-taken', '%s belongs to %s' % (path, stamp_of(path).get('Root') or 'somebody else'))
            write_durably(path, text.encode(), 0o644)
            demand(['systemctl', 'daemon-reload'])
        enable(os.path.basename(path))

    def await_boot(self):
        """
        What puts back at boot goes first. Whoever took the lock before it, and started a service, would wait for ever:
        the service comes after that unit, which waits for the lock.
        """
        while Switch(self.session.root).is_open:
            facts = show_units(self.boot_units()).values()
            if not any(fact.get('ActiveState') == 'activating' or fact.get('Job') not in NO_JOB for fact in facts):
                return
            self.session.rest(POLL_S)

    def boot_units(self):
        """The unit that runs at boot, whatever its system was called."""
        ends = '-%s.service' % BOOT_SERVICE
        names = [unit for unit in names_in(UNIT_FOLDER) if unit.startswith('slipway-') and unit.endswith(ends)]
        return [unit for unit in names if stamp_of(os.path.join(UNIT_FOLDER, unit)).get('Root') == self.session.root.path]

    # ---- taking away

    def collect(self):
        """Units of services that the current release does not have go, with their pointers."""
        try:
            current = current_release(self.session)
        except Failed:
            return
        record = read_record(self.session, current) if current else None
        if record is None or not record.get('manifest'):
            return
        declared = {service['name'] for service in services_of(record['manifest'])}
        table = self.table()
        gone = {name: unit for name, unit in table.units.items() if name not in declared and not table.members(name)}
        self.take_away(gone)

    def take_away(self, units):
        """Removes units, `{ SERVICE: unit }`, which are at rest, and what points from them to releases."""
        for name, unit in units.items():
            disable(unit)
            unlink_durably(os.path.join(UNIT_FOLDER, unit))
            for path in (self.session.root.at('live', name), self.session.root.at('live', name + '.env')):
                unlink(path)
            if name == WEB_SERVER:
                remove_tree(self.session.root.at(WEB_SERVER))
        if units:
            demand(['systemctl', 'daemon-reload'])
            with contextlib.suppress(OSError):
                os.rmdir(os.path.dirname(wants('')))  # nothing else is wanted there

    def remove(self):
        """Everything outside the root that was installed for it: units, and the user if nobody else needs it."""
        self.take_away(units_of_root(self.session.root))
        self.remove_boot()
        others = [unit for unit in names_in(UNIT_FOLDER) if unit.startswith('slipway-') and unit.endswith('.service')]
        try:
            account = pwd.getpwnam(SERVICE_USER)
        except KeyError:
            return
        if account.pw_gecos == USER_COMMENT and not any(says_user(os.path.join(UNIT_FOLDER, unit)) for unit in others):
            demand(['userdel', SERVICE_USER])

    def remove_boot(self):
        """What runs at boot goes, too."""
        for unit in self.boot_units():
            disable(unit)
            unlink_durably(os.path.join(UNIT_FOLDER, unit))
            demand(['systemctl', 'daemon-reload'])
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(wants('')))


def says_user(path):
    """Whether a unit runs as the user that was made for services."""
    return 'User=%s\n' % SERVICE_USER in (text_at(path) or '')


def text_at(path):
    """A text file, or None."""
    try:
        with open(path, encoding='utf-8', errors='surrogateescape', newline='') as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def name_in(text):
    """The service's name in a unit's text."""
    return text.partition('[X-Slipway]\n')[2].partition('Service=')[2].partition('\n')[0]


def own_tree(path, uid, gid, spared):
    """Gives a tree to somebody, links themselves included, unless it is theirs; `spared` parts stay as they are."""
    if os.lstat(path).st_uid != uid:
        os.chown(path, uid, gid, follow_symlinks=False)
        for folder, folders, files in os.walk(path):
            folders[:] = [name for name in folders if os.path.join(folder, name) not in spared]
            for name in folders + files:
                if os.path.join(folder, name) not in spared:
                    os.chown(os.path.join(folder, name), uid, gid, follow_symlinks=False)


def wants(unit):
    """The link that has systemd start a unit at boot."""
    return os.path.join(UNIT_FOLDER, WANTED_BY + '.wants', unit)


def enable(unit):
    """Started at boot, durably. What `systemctl enable` does, without reading all units again."""
    os.makedirs(os.path.dirname(wants(unit)), 0o755, exist_ok=True)
    if not os.path.islink(wants(unit)):
        link_durably(wants(unit), os.path.join(UNIT_FOLDER, unit))


def disable(unit):
    """Not started at boot, durably."""
    if os.path.isdir(os.path.dirname(wants(unit))):
        unlink_durably(wants(unit))


def own_unit():
    """The unit that this agent runs in, when it is one of ours."""
    try:
        with open('/proc/self/cgroup') as file:
            units = {line.strip().rpartition('/')[2] for line in file}
    except OSError:
        return None
    return next((unit for unit in sorted(units) if unit.startswith('slipway-') and unit.endswith('.service')), None)


def stop_transient(unit):
    """Ends a command's unit, if it is still there: who asked for it may have been killed."""
    if show_units([unit]).get(unit, {}).get('ActiveState') in LIVE_STATES:
        tool(['systemctl', 'stop', unit])


# ---------------- units.diff, uninstall

OWN_NAMES = (
    'current', 'live', 'nginx', 'releases', 'incoming', 'blobs', 'cache', 'run', 'logs', 'copies', 'shared', 'state',
)
KEPT_DATA = ('copies', 'shared')


def units_diff(session, args):
    """How the units of a system, or of a release that is here, differ from those that are installed."""
    system = args.get('system')
    if system is None:
        record = read_record(session, release_arg(args))
        system = ((record or {}).get('manifest') or {}).get('system')
    if not isinstance(system, dict):
        return {'diff': ''}
    return {'diff': session.supervisor.units_diff(system)}


def uninstall(session, args):
    """
    Stops everything and takes away what Slipway made here, releases and state too; the data and its copies only when
    that is said. Called again, it goes on where it was cut off.
    """
    if args.get('data') not in ('keep', 'remove'):
        raise refused('bad-request', 'data must be keep or remove')
    stop_all(session, {})
    session.supervisor.remove()
    for name in OWN_NAMES:
        if args['data'] == 'keep' and name in KEPT_DATA:
            keep_data(session.root.at(name))
        else:
            remove_tree(session.root.at(name))
    session.gone = True  # the journal went with the rest
    if not os.listdir(session.root.path):
        os.rmdir(session.root.path)


def keep_data(folder):
    """Data stays, and is root's where its owner may be gone; secrets do not."""
    unlink(os.path.join(folder, 'secrets.env'))
    if os.geteuid() == 0 and os.path.isdir(folder):
        os.chmod(folder, 0o700)
        for name in names_in(folder):
            own_tree(os.path.join(folder, name), 0, 0, [])
