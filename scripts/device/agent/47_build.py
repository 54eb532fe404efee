# ---------------- build: a release's tree, put together

# How a file comes from another release, the surest last: copied and verified, copied, or the very same file.
VERIFIED, COPIED, LINKED = 1, 2, 3
# What the kernel says where it cannot copy from file to file by itself.
NO_COPYING = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF)


class Build:
    """
    A tree below `incoming/`. What a release on the device has is taken from there in the background while the rest
    still comes. docs/decisions/0017-unchanged-files.md says what is verified again, and what is hard-linked.
    """

    def __init__(self, session, release, manifest, text):
        self.session = session
        self.release = release
        self.manifest = manifest
        self.text = text
        self.top = os.path.join(session.root.folder('incoming'), '%s.%s.%d' % (release, session.run, os.getpid()))
        self.files = [entry for entry in manifest['entries'] if entry['kind'] == 'file']
        self.there = sources(session)
        self.takes = collections.deque()
        self.linked = []
        self.written = {}
        self.wanted = {}
        self.taken = set()
        self.placed = {}
        self.ending = False
        self.errors = []
        self.flushing = None
        self.make_folders()
        self.missing = self.find()
        self.threads = [threading.Thread(target=self.take, daemon=True) for _ in range(min(MAX_COPY_THREADS, os.cpu_count() or 1))]
        for thread in self.threads:
            thread.start()

    def make_folders(self):
        """Every folder, also those that the manifest only implies."""
        os.mkdir(self.top, 0o755)
        folders = {entry['path'] for entry in self.manifest['entries'] if entry['kind'] == 'folder'}
        for path in sorted(folders | folders_of(entry['path'] for entry in self.manifest['entries'])):
            os.mkdir(os.path.join(self.top, path), 0o755)

    def find(self):
        """
        Notes what is to be taken, and returns what the device cannot give, as indices into the manifest's entries: of
        contents that occur more than once the first.
        """
        lacking, seen = [], set()
        arrived = set(names_in(self.session.root.at('blobs')))
        for index, entry in enumerate(self.manifest['entries']):
            if entry['kind'] != 'file':
                continue
            digest, size = entry['sha256'], entry['size']
            how, source, origin = self.best(entry)
            if source is not None:
                self.takes.append((how, source, origin, entry))
            elif digest not in seen and not (digest in arrived and has_size(blob_path(self.session, digest), size)):
                lacking.append(index)
                self.wanted[digest] = entry
            seen.add(digest)
        return lacking

    def best(self, entry):
        """
        The surest way to take a file from a release, that release's file, and the release; None when there is none. A
        file that may be shared is there if its folder is as it was built; whether it is itself shows once it is linked.
        """
        best = (0, None, None)
        for path, origin, mode in reversed(self.there.get(entry['sha256'], ())):
            settled = self.folder_written(path.rpartition('/')[0], origin.top) <= origin.built
            if settled and origin.shared and mode == entry['mode'] and mode & 0o022 == 0:
                return LINKED, path, origin
            found = lstat_file(path, entry['size'])
            if found is not None:
                best = max(best, (way_of(found, origin, settled), path, origin), key=lambda way: way[0])
            if best[0] == COPIED:
                break
        return best

    def folder_written(self, folder, top):
        """When an entry last came to a folder of a release, or to one above it, or went; no real folder was never settled."""
        if folder not in self.written:
            above = 0 if folder == top else self.folder_written(folder.rpartition('/')[0], top)
            try:
                found = os.lstat(folder)
                real = stat.S_ISDIR(found.st_mode)
            except (FileNotFoundError, NotADirectoryError):
                real = False
            self.written[folder] = max(above, found.st_mtime_ns) if real else math.inf
        return self.written[folder]

    def place(self, entry):
        """Where an entry comes to lie."""
        return self.top + '/' + entry['path']

    def lacking(self, digest):
        """The entry that waits for a content to arrive, if one does."""
        entry = self.wanted.get(digest)
        return None if entry is None or digest in self.placed else entry

    def keep(self, entry):
        """A content that arrived and was verified lies in its place."""
        self.taken.add(entry['path'])
        self.placed[entry['sha256']] = self.place(entry)

    def take(self):
        """One of the threads. What it does not manage is left to `finish`, which says why."""
        while not self.ending:
            try:
                how, source, origin, entry = self.takes.popleft()
            except IndexError:
                return
            try:
                if how == LINKED and link_file(source, self.place(entry)):
                    self.linked.append((entry, origin))
                elif not copy_file(how, source, self.place(entry), entry):
                    continue
                self.taken.add(entry['path'])
            except OSError as error:
                self.errors.append(error)
                return

    def flush_ahead(self):
        """Has the disk begin while more comes, once at a time; what goes wrong, the flush at the end says."""
        def flush():
            with contextlib.suppress(OSError):
                sync_tree(self.top)

        if self.flushing is None or not self.flushing.is_alive():
            self.flushing = threading.Thread(target=flush, daemon=True)
            self.flushing.start()

    def finish(self):
        """Everything that is still to be done; returns the tree's list."""
        for thread in self.threads:
            while thread.is_alive():
                thread.join(POLL_S)
                self.session.check()
        if self.errors:
            raise self.errors[0]
        self.place_files()
        for entry in self.manifest['entries']:
            if entry['kind'] == 'link':
                os.symlink(entry['target'], self.place(entry))
        check_links(self.top, self.manifest)
        unpack_wheels(self.session, self.top, self.manifest.get('wheels') or [])
        # Folder modes come last, deepest first: one that forbids writing would forbid what goes into it.
        folders = [entry for entry in self.manifest['entries'] if entry['kind'] == 'folder']
        for entry in sorted(folders, key=lambda one: one['path'], reverse=True):
            os.chmod(self.place(entry), entry['mode'] & 0o777)
        listing = durable_listing(self.top)
        self.check_linked(listing)
        return listing

    def check_linked(self, listing):
        """Whether what came by links is as it was built; all that is not is asked for in the next attempt."""
        touched = [
            entry for entry, origin in self.linked
            if not is_untouched(entry, listing.found.get(entry['path']) or os.lstat(self.place(entry)), origin)]
        if touched:
            forget(self.session, *(entry['sha256'] for entry in touched))
            first = touched[0]
            raise Failed('checksum-mismatch', path=first['path'], expected=first['sha256'], actual='changed since it was built')

    def place_files(self):
        """What arrived earlier moves into the tree; a content that is needed again is copied from there."""
        for entry in self.files:
            if entry['path'] in self.taken:
                continue
            self.session.check()
            digest, place = entry['sha256'], self.place(entry)
            if digest not in self.placed and move_blob(self.session, entry, place):
                self.placed[digest] = place
            else:
                again = [self.placed[digest]] if digest in self.placed else []
                build_file(self.session, place, entry, again + [path for path, _, _ in self.there.get(digest, [])])

    def stop(self):
        """Nothing is left of it; what arrived is a blob again, for the next attempt."""
        self.ending = True
        for thread in self.threads:
            thread.join()
        folder = self.session.root.folder('blobs')
        for digest, place in self.placed.items():
            # Another session may have begun the same release meanwhile, and taken them as blobs itself.
            with contextlib.suppress(FileNotFoundError):
                os.rename(place, os.path.join(folder, digest))
        remove_tree(self.top)


def salvage(session, release, manifest):
    """
    Contents that came for a tree whose agent was killed are blobs again: those of this release are verified when used,
    those of another now. What a release has, too, is not among them: a blob is changed as it is used.
    """
    for name in names_in(session.root.at('incoming')):
        folder, ours = session.root.folder('blobs'), name.startswith(release + '.')
        for entry in manifest['entries']:
            place = session.root.at('incoming', name, entry['path'])
            found = lstat_file(place, entry['size']) if entry['kind'] == 'file' else None
            if found is None or found.st_nlink > 1:
                continue
            if ours or (os.path.realpath(place) == place and file_digest(place) == entry['sha256']):
                os.rename(place, os.path.join(folder, entry['sha256']))


def move_blob(session, entry, place):
    """
    A content that arrived becomes the file itself. It was verified while it came if its file is the one that was
    written then, otherwise it is now. False when it is not there.
    """
    digest, blob = entry['sha256'], blob_path(session, entry['sha256'])
    try:
        found = os.lstat(blob)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(found.st_mode) or found.st_size != entry['size']:
        return False
    if session.arrived.pop(digest, None) != (found.st_ino, found.st_mtime_ns, found.st_size):
        actual = file_digest(blob)
        if actual != digest:
            unlink(blob)
            raise Failed('checksum-mismatch', path=entry['path'], expected=digest, actual=actual)
    if stat.S_IMODE(found.st_mode) != entry['mode'] & 0o777:
        os.chmod(blob, entry['mode'] & 0o777)
    os.rename(blob, place)
    return True


def check_links(top, manifest):
    """What the text of a link does not show: one that leaves the tree by way of another link."""
    real = os.path.realpath(top)
    for entry in manifest['entries']:
        if entry['kind'] == 'link':
            end = os.path.realpath(os.path.join(top, entry['path']))
            if end != real and not end.startswith(real + os.sep):
                raise refused('link-leaves-tree', '%r leads out of the release' % entry['path'])


def build_file(session, place, entry, there):
    """One file from another on the device that has its content, verified while copied."""
    actual = None
    for source in there:
        if not has_size(source, entry['size']):
            continue
        actual = copy_verified(source, place, entry)
        if actual == entry['sha256']:
            return
        forget(session, entry['sha256'])
    if actual is None:
        raise refused('blob-missing', 'the content of %r (%s) has not arrived' % (entry['path'], entry['sha256'][:12]))
    raise Failed('checksum-mismatch', path=entry['path'], expected=entry['sha256'], actual=actual)


def way_of(found, origin, settled):
    """
    How a file of a release comes into another one as a copy. It need not be verified if it is its owner's, and neither
    it nor a folder above it bears a moment after the build: in a sealed release only root can have written it, and
    writing shows; elsewhere whoever may write it may also set when that was, but that shows as a later change. Another
    file in its place shows in the folders.
    """
    moment = found.st_mtime_ns if origin.sealed else found.st_ctime_ns
    return COPIED if settled and found.st_uid == origin.owner and moment <= origin.built else VERIFIED


def is_untouched(entry, found, origin):
    """Whether a file that came by a link is as its release was built: see `way_of`."""
    sound = found.st_mode == stat.S_IFREG | entry['mode'] & 0o777 and found.st_size == entry['size']
    return sound and way_of(found, origin, True) == COPIED


def link_file(source, place):
    """False where there can be no link: as many as there can be, another file system, one that has none."""
    try:
        os.link(source, place, follow_symlinks=False)
        return True
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise
        return False


def copy_file(how, source, place, entry):
    """One file from a release; False when it was not what it should be."""
    return how == COPIED and copy_within_kernel(source, place, entry) or copy_verified(source, place, entry) == entry['sha256']


def copy_within_kernel(source, place, entry):
    """Copies what need not be verified; file systems that can (btrfs, xfs) share its blocks. False when that cannot be done."""
    if not hasattr(os, 'copy_file_range'):
        return False
    with copying(source, place, entry) as (file, fd):
        try:
            while os.copy_file_range(file, fd, MAX_COPY_BYTES) > 0:
                pass
        except OSError as error:
            if error.errno not in NO_COPYING:
                raise
        return os.fstat(fd).st_size == entry['size']


def copy_verified(source, place, entry):
    """Copies a file; returns the digest of what was copied."""
    with copying(source, place, entry) as (file, fd):
        return copy_hashed(file, fd)


@contextlib.contextmanager
def copying(source, place, entry):
    """Both files, open; the new one gets the entry's mode."""
    fd = create(place)
    try:
        file = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            yield file, fd
        finally:
            os.close(file)
        os.fchmod(fd, entry['mode'] & 0o777)
    finally:
        os.close(fd)


def forget(session, *digests):
    """Damaged sources must not count as there: the next upload brings the contents again."""
    session.root.folder('state')
    write_json(damaged_path(session), sorted(set(read_json(damaged_path(session)) or []).union(digests)))


def durable_listing(top):
    """Flushes a tree while its list is read."""
    failed = []

    def flush():
        try:
            sync_tree(top)
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=flush)
    thread.start()
    listing = Listing(top, {})
    thread.join()
    if failed:
        raise failed[0]
    return listing


def outlast(moment):
    """Waits until whatever is written from now on bears a later moment: the clock of files ticks."""
    time.sleep(min(TICK_S, max(0.0, moment / 1e9 + TICK_S - time.time())))
