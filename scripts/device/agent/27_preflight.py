# ---------------- preflight: what a deploy, `doctor` and `status` ask before anything is done; nothing here changes anything

THERMAL = '/sys/class/thermal'
THERMAL_S = 2.0
MAX_ZONES = 64
SUDO_S = 5.0


def device_clock(session, args):
    """What time the device thinks that it is, in ms since 1970."""
    return {'nowMs': int(time.time() * 1000)}


def device_preflight(session, args):
    """What decides whether a release can run here; the client judges. `sudo` says whether to ask for that, too."""
    return {
        'python': platform.python_version(), 'sqlite': sqlite3.sqlite_version, 'supervisor': session.supervisor.name,
        'root': root_state(session), 'boot': boot_state(), 'sudo': sudo_state() if args.get('sudo') else None,
        'temperature': temperature(session), 'nginx': which('nginx'),
    }


def root_state(session):
    """Whether the root's file system takes writes: one block of a file without a name, which leaves nothing behind."""
    path = session.root.path
    problem = None
    try:
        read_only = bool(os.statvfs(path).f_flag & os.ST_RDONLY)
        if hasattr(os, 'O_TMPFILE'):
            fd = os.open(path, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                write_all(fd, bytes(4 * KIB))
                os.fsync(fd)
            finally:
                os.close(fd)
    except OSError as error:
        read_only = error.errno == errno.EROFS
        # A file system without such files says so in one of these ways; then its flags are all there is to ask.
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT):
            problem = errno.errorcode.get(error.errno, str(error.errno))
    return {'path': path, 'readOnly': read_only, 'problem': problem}


def boot_state():
    """Whether systemd is what started this machine (sd_booted(3)); what did, otherwise."""
    try:
        with open('/proc/1/comm') as file:
            init = file.read().strip()
    except OSError:
        init = 'launchd' if sys.platform == 'darwin' else 'unknown'
    return {'systemd': os.path.isdir('/run/systemd/system'), 'init': init}


def sudo_state():
    """`root`; sudo that is `free` or `asks` for a password; or `none`. Without a password nothing is tried that could count as wrong."""
    if os.geteuid() == 0:
        return 'root'
    sudo = which('sudo')
    if sudo is None:
        return 'none'
    try:
        asked = subprocess.run(
            [sudo, '-n', 'true'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=SUDO_S, close_fds=True, start_new_session=True)
    except (OSError, subprocess.TimeoutExpired):
        return 'asks'
    return 'free' if asked.returncode == 0 else 'asks'


def temperature(session):
    """
    The hottest zone, `{ celsius, zone, skipped }`, or None. A zone may never answer (some boards' firmware), so each is
    read by a process of its own that can be left behind; zones that are switched off fail, and are skipped as well.
    """
    zones = [name for name in names_in_safely(THERMAL) if name.startswith('thermal_zone')][:MAX_ZONES]
    readers = {}
    for zone in sorted(zones):
        try:
            child = subprocess.Popen(
                ['cat', os.path.join(THERMAL, zone, 'temp')], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, close_fds=True, start_new_session=True)
        except OSError:
            continue
        readers[zone] = child
    found, skipped = [], []
    deadline = time.monotonic() + THERMAL_S
    for zone, child in readers.items():
        degrees = zone_answer(session, child, deadline)
        if degrees is None:
            skipped.append(zone_name(zone))
        else:
            found.append((degrees, zone_name(zone)))
    if not found:
        return None
    degrees, zone = max(found)
    return {'celsius': degrees, 'zone': zone, 'skipped': skipped}


def zone_answer(session, child, deadline):
    """Degrees that one reader brought in time, or None; a reader that hangs is left to be reaped when it can be."""
    session.children[child.pid] = child
    with child.stdout:
        ready, _, _ = select.select([child.stdout], [], [], max(0, deadline - time.monotonic()))
        text = os.read(child.stdout.fileno(), 64) if ready else b''
    if not ready:
        send_signal({child.pid}, signal.SIGKILL)
    try:
        return round(int(text) / 1000, 1)
    except ValueError:
        return None


def zone_name(zone):
    """What a zone calls itself (`cpu-thermal`)."""
    try:
        with open(os.path.join(THERMAL, zone, 'type')) as file:
            return file.read(64).strip() or zone
    except OSError:
        return zone


def device_vitals(session, args):
    """How the device is at this moment: memory, disk, temperature, and what each service takes."""
    disk = os.statvfs(session.root.path)
    table = session.supervisor.table()
    return {
        'memory': {'totalMb': total_memory_mb(), 'availableMb': available_memory_mb()},
        'disk': {
            'totalBytes': disk.f_blocks * disk.f_frsize, 'freeBytes': disk.f_bavail * disk.f_frsize,
            'freeInodes': disk.f_favail if disk.f_files > 0 else None,
        },
        'temperature': temperature(session),
        'services': [{'name': name, 'memoryMb': session.supervisor.memory_mb(table, name)} for name in sorted(table.names())],
    }


def available_memory_mb():
    """What programs can get without swapping, as the kernel estimates it; None where it does not."""
    try:
        with open('/proc/meminfo') as file:
            fields = dict(line.split(':', 1) for line in file)
        found = [int(fields['MemAvailable'].split()[0]) * KIB]
    except (OSError, KeyError, ValueError):
        return None
    for limit, taken in zip(map(memory_limit, MEMORY_LIMITS), map(memory_limit, MEMORY_TAKEN)):
        if limit is not None and taken is not None:
            found.append(max(limit - taken, 0))
    return min(found) // MIB


def shared_memory_mb(pids):
    """The shares of some processes added up; None when there is nothing to add."""
    shares = [share for share in map(memory_share_kb, pids) if share is not None]
    return round(sum(shares) / KIB, 1) if shares else None


def memory_share_kb(pid):
    """A process's proportional share (PSS), or what it has resident where that may not be read; None when it is gone."""
    try:
        with open('/proc/%d/smaps_rollup' % pid) as file:
            return next(int(line.split()[1]) for line in file if line.startswith('Pss:'))
    except (OSError, StopIteration, ValueError, IndexError):
        pass
    try:
        with open('/proc/%d/statm' % pid) as file:
            return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE') // KIB
    except (OSError, ValueError, IndexError):
        return None
