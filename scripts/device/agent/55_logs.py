# ---------------- logs

LOG_BLOCK_BYTES = 64 * KIB
LOG_POLL_S = 0.2
MAX_LOG_LINES = 1000000
FOLLOW_S = 30 * 24 * 3600.0


def service_names(session, args):
    """Services that there is something to say about: those of the current release, what runs, and what left a log."""
    return {'names': known_services(session)}


def known_services(session):
    """The declared ones in their order, then the rest."""
    manifest = current_manifest(session)
    declared = [service['name'] for service in services_of(manifest)] if manifest else []
    records = {name[:-5] for name in names_in(session.root.at('run')) if name.endswith('.json') and PLAIN_NAME.match(name)}
    logs = {name[:-4] for name in names_in(session.root.at('logs')) if name.endswith('.log')}
    return declared + sorted((records | logs) - set(declared))


def current_manifest(session):
    """The manifest of the current release, or None when there is none that could be read."""
    try:
        release = current_release(session)
        return manifest_of(session, release) if release else None
    except Failed:
        return None


def service_logs(session, args):
    """The last `lines` of a service's log on `output`; with `follow`, then what comes, until it is cancelled."""
    name = name_arg(args)
    lines = min(max(int(args.get('lines') or 0), 0), MAX_LOG_LINES)
    if name not in known_services(session):
        raise refused('no-such-service', 'no service %s was ever here; there are: %s' % (name, ', '.join(known_services(session)) or 'none'))
    session.supervisor.logs(name, lines, bool(args.get('follow')))


def file_logs(session, name, lines, follow):
    """The same from the log that the plain supervisor keeps."""
    log = ServiceLog(session, session.root.at('logs', name + '.log'))
    try:
        log.begin(lines)
        while follow:
            session.rest(LOG_POLL_S)
            log.go_on()
    finally:
        log.close()


class ServiceLog:
    """A log file that is read on, also when another file takes its name."""

    def __init__(self, session, path):
        self.session = session
        self.path = path
        self.fd = None
        self.decoder = codecs.getincrementaldecoder('utf-8')('replace')

    def begin(self, lines):
        """Puts out the last lines; what the file does not have comes from the one before it."""
        self.open()
        start, missing = last_lines_start(self.fd, lines) if self.fd is not None else (0, lines)
        if missing > 0:
            self.older(missing)
        if self.fd is not None:
            os.lseek(self.fd, start, os.SEEK_SET)
            self.pour(self.fd)

    def older(self, lines):
        """The last lines of the file that was rotated away."""
        try:
            fd = os.open(self.path + '.1', os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            os.lseek(fd, last_lines_start(fd, lines)[0], os.SEEK_SET)
            self.pour(fd)
        finally:
            os.close(fd)

    def go_on(self):
        """What came since; a file that was renamed is read to its end before the next one begins."""
        if self.fd is None:
            self.open()
        if self.fd is None:
            return
        if os.fstat(self.fd).st_size < os.lseek(self.fd, 0, os.SEEK_CUR):
            os.lseek(self.fd, 0, os.SEEK_SET)
        rotated = self.rotated()
        self.pour(self.fd)
        if rotated:
            self.close()
            self.open()
            if self.fd is not None:
                self.pour(self.fd)

    def open(self):
        """Opens the file, if it is there."""
        try:
            self.fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            self.fd = None

    def rotated(self):
        """Whether the name now stands for another file."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return False
        mine = os.fstat(self.fd)
        return (found.st_dev, found.st_ino) != (mine.st_dev, mine.st_ino)

    def pour(self, fd):
        """Everything up to the end of a file, in pieces."""
        while True:
            self.session.check()
            chunk = os.read(fd, MAX_OUTPUT_READ_BYTES)
            if not chunk:
                return
            self.session.output('stdout', self.decoder.decode(chunk))

    def close(self):
        """Lets the file go."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


def last_lines_start(fd, lines):
    """`(offset, missing)`: where the last lines of a file begin, read from its end, and how many it does not have."""
    size = os.fstat(fd).st_size
    if lines == 0 or size == 0:
        return size, lines
    wanted = lines + (1 if os.pread(fd, 1, size - 1) == b'\n' else 0)
    found, end = 0, size
    while end > 0:
        begin = max(0, end - LOG_BLOCK_BYTES)
        block = os.pread(fd, end - begin, begin)
        at = len(block)
        while found < wanted:
            at = block.rfind(b'\n', 0, at)
            if at < 0:
                break
            found += 1
        if found == wanted:
            return begin + at + 1, 0
        end = begin
    return 0, wanted - found - 1
