# ---------------- files

def now():
    """ISO time in UTC, to the millisecond."""
    moment = time.time()
    return '%s.%03dZ' % (time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(moment)), moment % 1 * 1000)


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
    try:
        return os.open(path, NEW_FILE, mode)
    except FileExistsError:
        unlink(path)
        return os.open(path, NEW_FILE, mode)


def create_exactly(path, mode):
    """A new file with a mode whatever the umask takes from others' files."""
    fd = create(path, mode)
    if mode & 0o022:
        os.fchmod(fd, mode)
    return fd


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


def which(name, path=DEFAULT_PATH):
    """Where a program lies, or None. Not `shutil`'s: that module takes as long to load as three others."""
    places = (os.path.join(folder, name) for folder in path.split(os.pathsep) if folder)
    return next((place for place in places if os.path.isfile(place) and os.access(place, os.X_OK)), None)


def file_digest(path):
    """sha256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for chunk in iter(lambda: file.read(COPY_CHUNK_BYTES), b''):
            digest.update(chunk)
    return digest.hexdigest()


def copy_hashed(source_fd, target_fd):
    """Copies an open file and returns the sha256 of what was copied."""
    digest = hashlib.sha256()
    for chunk in iter(lambda: os.read(source_fd, COPY_CHUNK_BYTES), b''):
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
    return Listing(top).digest()


class Listing:
    """
    A tree's list, one line for each entry (plain string work, for `status` looks at thousands), and the latest moment,
    in ns, at which something in it was written, and at which anything about a file changed. `found`, where it is given,
    takes what the file system says of each entry.
    """

    def __init__(self, top, found=None):
        self.lines = []
        self.found = found
        self.written = self.changed = os.stat(top).st_mtime_ns
        self.walk(top, '')

    def walk(self, folder, prefix):
        """Everything below a folder."""
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
                    self.walk(entry.path, path + '/')
                if self.found is not None:
                    self.found[path] = found
                self.written = max(self.written, found.st_mtime_ns)
                self.changed = max(self.changed, found.st_ctime_ns)
                self.lines.append('%s\0%o\0%s' % (path, found.st_mode, extent))

    def digest(self):
        """Of the lines."""
        return '%d-%s' % (len(self.lines), hashlib.sha256(os.fsencode('\0'.join(self.lines))).hexdigest()[:32])


def unwritable_words(path):
    """Why nothing can be written below a root: a disk that failed is often mounted read-only by the kernel."""
    if os.path.isdir(path) and os.statvfs(path).f_flag & os.ST_RDONLY:
        return '%s lies on a file system that is mounted read-only' % path
    return '%s is not a folder that this user may write' % path


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
            raise refused('root-unwritable', unwritable_words(self.path))
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
