# ---------------- unit texts: pure functions of what is declared and of the board

UNIT_FOLDER = '/etc/systemd/system'
WANTED_BY = 'multi-user.target'
HOME_FOLDERS = ('/home', '/root', '/run/user')
LOWEST_FREE_PORT = 1024  # below it, listening takes a capability
RESTART_S = 1
START_LIMIT = 5
START_LIMIT_S = 60
MEMORY_HIGH_PERCENT = 90
PLAIN_WORD = re.compile(r'[A-Za-z0-9_@+=:,./-]+\Z')
ESCAPES = {'\\': '\\\\', '"': '\\"', '\n': '\\n', '\r': '\\r', '\t': '\\t', '%': '%%'}

# Where units are: the root and its mark, the system's name, who services run as, and the number of this systemd.
Site = collections.namedtuple('Site', 'root mark system user group version')


def unit_of(system, name):
    """A service's unit."""
    return 'slipway-%s-%s.service' % (system, name)


def unit_word(text, dollars=False):
    """A word as systemd reads it: quoted where needed, specifiers and (in commands) variables left as they stand."""
    escaped = ''.join(ESCAPES.get(one) or ('\\x%02x' % ord(one) if ord(one) < 32 or ord(one) == 127 else one) for one in text)
    if dollars:
        escaped = escaped.replace('$', '$$')
    return escaped if PLAIN_WORD.match(text) else '"%s"' % escaped


def unit_path(site, path, name):
    """Where a program lies: a name is looked up in PATH, what has a folder lies in the release."""
    if os.path.isabs(path):
        return path
    return os.path.join(site.root, 'live', name, path) if '/' in path else which(path) or path


def rendered(sections):
    """A unit file."""
    head = '# Made by Slipway; the next deploy overwrites what is changed here.\n'
    return head + '\n'.join('[%s]\n%s' % (title, ''.join('%s=%s\n' % pair for pair in pairs)) for title, pairs in sections)


def unit_text(site, service, argv, env, port, more=()):
    """A service's unit. It names no release: that is what `live/NAME` and `live/NAME.env` say."""
    name = service['name']
    live = os.path.join(site.root, 'live', name)
    after = ['network.target', unit_of(site.system, 'boot')] + [unit_of(site.system, one) for one in service.get('after') or []]
    watchdog = service.get('watchdog')
    command = [unit_word(unit_path(site, argv[0], name))] + [unit_word(part, dollars=True) for part in argv[1:]]
    memory_mb = service['memoryMb']
    grace_ms = service['graceMs'] if service.get('graceMs') is not None else int(SERVICE_GRACE_S * 1000)
    start = [('Type', 'notify' if watchdog else 'exec')]
    if watchdog:
        start += [('NotifyAccess', 'main'), ('WatchdogSec', '%dms' % watchdog['everyMs'])]
    sections = [
        ('Unit', [
            ('Description', '%s of %s' % (name, site.system)), ('After', ' '.join(after)),
            ('StartLimitIntervalSec', START_LIMIT_S), ('StartLimitBurst', START_LIMIT),
        ]),
        ('Service', start + [
            ('WorkingDirectory', live), ('ExecStart', ' '.join(command)), ('EnvironmentFile', live + '.env'),
        ] + [('Environment', unit_word('%s=%s' % pair)) for pair in sorted(env.items())] + [
            ('Restart', 'on-failure'), ('RestartSec', RESTART_S), ('TimeoutStartSec', int(READY_S)),
            ('TimeoutStopSec', '%dms' % grace_ms), ('KillMode', 'mixed'), ('OOMPolicy', 'stop'),
            ('MemoryHigh', '%dK' % (memory_mb * KIB * MEMORY_HIGH_PERCENT // 100)), ('MemoryMax', '%dM' % memory_mb),
        ] + sandbox(site, service, port) + list(more)),
        ('Install', [('WantedBy', WANTED_BY)]),
        ('X-Slipway', [('Root', site.root), ('Service', name)]),
    ]
    return rendered(sections)


BOOT_SERVICE = 'boot'


def boot_text(root, system, argv):
    """The unit that sees to an unconfirmed switch at boot, before the services."""
    sections = [
        ('Unit', [
            ('Description', 'Puts back what was not confirmed, of %s' % system), ('After', 'local-fs.target'),
            ('ConditionPathExists', os.path.join(root, 'state', 'switch')),
        ]),
        ('Service', [
            ('Type', 'oneshot'), ('ExecStart', ' '.join([unit_word(argv[0])] + [unit_word(part, dollars=True) for part in argv[1:] + [BOOT_SERVICE]])),
            ('TimeoutStartSec', 600),
        ]),
        ('Install', [('WantedBy', WANTED_BY)]),
        ('X-Slipway', [('Root', root)]),
    ]
    return rendered(sections)


def sandbox(site, service, port):
    """What a program of a release may do: little, as nobody in particular, and write nothing but its data."""
    capability = 'CAP_NET_BIND_SERVICE' if port is not None and port < LOWEST_FREE_PORT else ''
    pairs = [
        ('User', site.user), ('Group', site.group), ('UMask', '0077'), ('LimitCORE', 0), ('NoNewPrivileges', 'yes'),
        ('CapabilityBoundingSet', capability), ('AmbientCapabilities', capability), ('ProtectSystem', 'strict'),
    ]
    pairs += sandbox_folders(site) + [
        ('PrivateTmp', 'yes'), ('ProtectKernelTunables', 'yes'), ('ProtectKernelModules', 'yes'), ('ProtectKernelLogs', 'yes'),
        ('ProtectControlGroups', 'yes'), ('ProtectClock', 'yes'), ('ProtectHostname', 'yes'), ('LockPersonality', 'yes'),
        ('RestrictSUIDSGID', 'yes'), ('RestrictRealtime', 'yes'), ('RestrictNamespaces', 'yes'),
        ('RestrictAddressFamilies', 'AF_UNIX AF_INET AF_INET6 AF_NETLINK'), ('SystemCallArchitectures', 'native'),
        ('SystemCallFilter', '@system-service'), ('SystemCallErrorNumber', 'EPERM'),
    ]
    if site.version >= 247:
        pairs.append(('ProtectProc', 'invisible'))
    if service.get('groups'):
        pairs.append(('SupplementaryGroups', ' '.join(service['groups'])))
    if not service.get('devices'):
        return pairs + [('PrivateDevices', 'yes')]
    return pairs + [('DevicePolicy', 'closed')] + [('DeviceAllow', '%s rw' % unit_word(device)) for device in service['devices']]


def sandbox_folders(site):
    """The root as services see it. Below a home folder, which they may not look into, its parts are mounted one by one."""
    at = functools.partial(os.path.join, site.root)
    written = '%s %s' % (at('shared', 'data'), at('cache'))
    if not any(site.root == home or site.root.startswith(home + '/') for home in HOME_FOLDERS):
        return [('ProtectHome', 'yes'), ('ReadWritePaths', written)]
    read = [at('releases'), at('live'), '-' + at('shared', 'secrets.env'), '-' + at('nginx')]
    # Not ProtectHome=tmpfs: the /root that it makes lets nobody through.
    return [
        ('TemporaryFileSystem', ' '.join(home + ':ro' for home in HOME_FOLDERS)),
        ('BindReadOnlyPaths', ' '.join(read)), ('BindPaths', written),
    ]
