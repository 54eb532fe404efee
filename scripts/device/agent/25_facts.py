# ---------------- facts

# The root of the control groups that can be seen from here, of the second and of the first kind. What a unit or a login
# session may have says nothing about the services, which run beside it.
MEMORY_LIMITS = ('/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes')
MEMORY_TAKEN = ('/sys/fs/cgroup/memory.current', '/sys/fs/cgroup/memory/memory.usage_in_bytes')

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
    services = fronted({'services': args.get('services') or [], 'web': args.get('web')})
    wanted = sum(one.get('memoryMb') or 0 for one in services) + (args.get('reservedMb') or 0)
    room = {
        'freeBytes': disk.f_bavail * disk.f_frsize, 'neededBytes': needed,
        'freeInodes': disk.f_favail, 'neededInodes': inodes, 'memoryMb': memory,
        'services': [{'name': one['name'], 'memoryMb': one.get('memoryMb') or 0} for one in services],
    }
    problems = []
    if room['freeBytes'] < needed:
        problems.append(('disk', '%d MB of disk free, %d MB needed' % (room['freeBytes'] // MIB, -(-needed // MIB))))
    if disk.f_files > 0 and room['freeInodes'] < inodes:  # file systems without a fixed number say 0
        problems.append(('disk', '%d inodes free, %d needed' % (room['freeInodes'], inodes)))
    if wanted > memory:
        problems.append(('memory', '%d MB of memory, %d MB needed by the services and what is reserved' % (memory, wanted)))
    problems += [('tools', one) for one in session.supervisor.missing(services)]
    for name, port in foreign_ports(session, services):
        problems.append(('port', 'port %d of %s is in use by %s' % (port, name, holder_words(port))))
    short = '; '.join(says for _, says in problems)
    return dict(room, enough=not problems, short=short, problems=[{'what': what, 'says': says} for what, says in problems])


def foreign_ports(session, services):
    """Services whose port somebody else has: told while all still runs, rather than between stop and start."""
    table = session.supervisor.table()
    kept = read_json(session.root.at('state', 'ports.json')) or {}
    ours = {record['port'] for name, record in table.records.items() if table.runs(name)}
    for service in services:
        name = service['name']
        public = service.get('listens') == 'public' and session.public_port is not None
        port = session.public_port if public else kept.get(name)
        unrecorded = name not in table.records and table.members(name)
        if service.get('listens') and port is not None and port not in ours and not unrecorded and port_answers(port):
            yield name, port


def total_memory_mb():
    """The machine's memory, or a container's share of it: /proc/meminfo speaks of the whole machine there, too."""
    machine = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    return min([machine] + [limit for limit in map(memory_limit, MEMORY_LIMITS) if limit]) // MIB


def memory_limit(path):
    """Bytes; None where there is no limit. Without a container the control groups' root has no such file."""
    try:
        with open(path) as file:
            return int(file.read())
    except (OSError, ValueError):  # `max`
        return None


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
