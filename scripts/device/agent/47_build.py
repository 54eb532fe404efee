# ---------------- build: a release's tree, put together

class Build:
    """
    A tree below `incoming/`. What a release on the device has is copied in the background while the rest still comes;
    everything is verified before it is used, and nothing is ever hard-linked.
    """

    def __init__(self, session, release, manifest):
        self.session = session
        self.release = release
        self.manifest = manifest
        self.top = os.path.join(session.root.folder('incoming'), '%s.%s.%d' % (release, session.run, os.getpid()))
        self.files = [entry for entry in manifest['entries'] if entry['kind'] == 'file']
        self.there = sources(session)
        self.copies = collections.deque()
        self.copied = set()
        self.moved = []
        self.ending = False
        self.errors = []
        self.make_folders()
        self.missing = self.find()
        self.threads = [threading.Thread(target=self.copy, daemon=True) for _ in range(min(MAX_COPY_THREADS, os.cpu_count() or 1))]
        for thread in self.threads:
            thread.start()

    def make_folders(self):
        """Every folder, also those that the manifest only implies."""
        os.mkdir(self.top, 0o755)
        folders = {entry['path'] for entry in self.manifest['entries'] if entry['kind'] == 'folder'}
        for entry in self.manifest['entries']:
            folders.update(parents_of(entry['path']))
        for path in sorted(folders):
            os.mkdir(os.path.join(self.top, path), 0o755)

    def find(self):
        """
        Notes what is to be copied, and returns what the device cannot give, as indices into the manifest's entries: of
        contents that occur more than once the first.
        """
        lacking, seen = [], {}
        arrived = set(names_in(self.session.root.at('blobs')))
        for index, entry in enumerate(self.manifest['entries']):
            if entry['kind'] != 'file':
                continue
            digest, size = entry['sha256'], entry['size']
            source = next((path for path in self.there.get(digest, ()) if has_size(path, size)), None)
            if source is not None:
                self.copies.append((source, entry))
            elif digest not in seen and not (digest in arrived and has_size(blob_path(self.session, digest), size)):
                lacking.append(index)
            seen[digest] = index
        return lacking

    def place(self, entry):
        """Where an entry comes to lie."""
        return self.top + '/' + entry['path']

    def copy(self):
        """One of the threads. What it does not manage is left to `finish`, which says why."""
        while not self.ending:
            try:
                source, entry = self.copies.popleft()
            except IndexError:
                return
            try:
                if copy_verified(source, self.place(entry), entry) == entry['sha256']:
                    self.copied.add(entry['path'])
            except OSError as error:
                self.errors.append(error)
                return

    def finish(self):
        """Everything that is still to be done; returns the digest of the tree's list."""
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
        for entry in sorted(self.manifest['entries'], key=lambda one: one['path'], reverse=True):
            if entry['kind'] == 'folder':
                os.chmod(self.place(entry), entry['mode'] & 0o777)
        return durable_digest(self.top)

    def place_files(self):
        """What arrived moves into the tree; a content that is needed again is copied from there."""
        placed = {}
        for entry in self.files:
            self.session.check()
            digest, place = entry['sha256'], self.place(entry)
            if entry['path'] in self.copied:
                pass
            elif move_blob(self.session, entry, place):
                self.moved.append((place, blob_path(self.session, digest)))
            else:
                again = [placed[digest]] if digest in placed else []
                build_file(self.session, place, entry, again + self.there.get(digest, []))
            placed[digest] = place

    def stop(self):
        """Nothing is left of it; what arrived is a blob again, for the next attempt."""
        self.ending = True
        for thread in self.threads:
            thread.join()
        for place, blob in self.moved:
            # Another session may have begun the same release meanwhile, and taken them as blobs itself.
            with contextlib.suppress(FileNotFoundError):
                os.rename(place, blob)
        remove_tree(self.top)


def salvage(session, release, manifest):
    """Contents that an agent had moved into a tree when it was killed are blobs again; they are verified when used."""
    for name in names_in(session.root.at('incoming')):
        if not name.startswith(release + '.'):
            continue
        folder = session.root.folder('blobs')
        for entry in manifest['entries']:
            place = session.root.at('incoming', name, entry['path'])
            if entry['kind'] == 'file' and has_size(place, entry['size']):
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


def copy_verified(source, place, entry):
    """Copies with its mode; returns the digest of what was copied."""
    fd = create(place)
    try:
        file = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            actual = copy_hashed(file, fd)
        finally:
            os.close(file)
        os.fchmod(fd, entry['mode'] & 0o777)
    finally:
        os.close(fd)
    return actual


def forget(session, digest):
    """A damaged source must not count as there: the next upload brings the content again."""
    session.root.folder('state')
    write_json(damaged_path(session), sorted(set(read_json(damaged_path(session)) or []) | {digest}))


def durable_digest(top):
    """Flushes a tree while its list is read."""
    failed = []

    def flush():
        try:
            sync_tree(top)
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=flush)
    thread.start()
    digest = tree_digest(top)
    thread.join()
    if failed:
        raise failed[0]
    return digest
