# ---------------- transfer

def blob_path(session, digest):
    """Where an arrived content lies."""
    return session.root.at('blobs', digest)


def blob_list(args):
    """The `[digest, size]` pairs of a message."""
    blobs = args.get('blobs')
    if not isinstance(blobs, list):
        raise refused('bad-request', 'blobs must be a list')
    for pair in blobs:
        if not (isinstance(pair, list) and len(pair) == 2 and is_digest(pair[0]) and isinstance(pair[1], int) and pair[1] >= 0):
            raise refused('bad-request', 'a blob is [sha256, size]')
    return [(digest, size) for digest, size in blobs]


def has_size(path, size):
    """Whether a regular file of that size is there."""
    return lstat_file(path, size) is not None


def lstat_file(path, size):
    """What the file system says of a regular file of that size; None when there is no such file."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found if stat.S_ISREG(found.st_mode) and found.st_size == size else None


def damaged_path(session):
    """Digests whose file in a release turned out to be damaged: only a blob can give them."""
    return session.root.at('state', 'damaged.json')


class Origin:
    """A release that others may take files from, and until when what it has counts as it was built."""

    def __init__(self, session, record):
        self.top = tree_of(session, record['id'])
        self.owner = os.geteuid()
        self.sealed = bool(record.get('sealed'))
        self.shared = self.sealed and session.supervisor.seals
        built = record.get('built')
        # One of the future was built while the clock was wrong: it says nothing.
        self.built = built if isinstance(built, int) and built <= time.time_ns() else -1


def sources(session):
    """Where the contents of the releases on the device lie, the latest last: `{ digest: [(path, origin, mode), …] }`."""
    found = collections.defaultdict(list)
    damaged = set(read_json(damaged_path(session)) or [])
    for record in records(session):
        origin = Origin(session, record)
        for entry in (record.get('manifest') or {}).get('entries', []):
            if entry['kind'] == 'file' and entry['sha256'] not in damaged:
                found[entry['sha256']].append((origin.top + '/' + entry['path'], origin, entry['mode']))
    return found


def upload_begin(session, args):
    """
    Takes a manifest in. What the device has of it is put together at once, beside the next messages; the answer names
    what it lacks, by index into the manifest's entries, and the compressions in which that may come.
    """
    drop_build(session)
    release, text = release_arg(args), received_text(session)
    manifest = manifest_in(text)
    check_manifest(manifest)
    digest = hashlib.sha256(text).hexdigest()
    if digest[:16] != release:
        text = canonical(manifest)
        digest = hashlib.sha256(text).hexdigest()
    if digest[:16] != release:
        raise Failed('checksum-mismatch', path='manifest', expected=release, actual=digest[:16])
    salvage(session, release, manifest)
    for name in names_in(session.root.at('incoming')):
        remove_tree(session.root.at('incoming', name))
    if is_whole(session, read_record(session, release)):
        drop_blobs(session, manifest)
        return {'path': 'releases/' + release, 'missing': [], 'codecs': []}
    session.build = Build(session, release, manifest, text)
    return {'path': None, 'missing': session.build.missing, 'codecs': codecs_here()}


def received_text(session):
    """What follows the operation's line, as one text."""
    parts = []
    for content in session.frames():
        parts.append(bytes(content))
        if session.message.frames.content > MAX_LINE_BYTES:
            raise refused('too-large', 'a manifest of more than %d bytes' % MAX_LINE_BYTES)
    return b''.join(parts)


def manifest_in(text):
    """The manifest that a text spells."""
    try:
        return json.loads(text.decode())
    except ValueError:
        raise refused('bad-manifest', 'not JSON')


def drop_build(session):
    """Ends what was begun to be put together."""
    if session.build is not None:
        session.build.stop()
        session.build = None


def upload_put(session, args):
    """Receives contents; each that is complete and right counts, whatever becomes of the connection afterwards."""
    arriving = Arriving(session, blob_list(args))
    flushed = 0
    try:
        for content in session.frames():
            session.check()
            arriving.take(content)
            came = session.message.frames.content
            if session.build is not None and came - flushed >= FLUSH_BYTES:
                session.build.flush_ahead()
                flushed = came
        arriving.finish()
    finally:
        arriving.close()


class Arriving:
    """
    Contents one after the other: hashed as they come, written where the tree that was begun needs them, or as blobs.
    Not fsynced: one that a power cut damaged is noticed when a later session uses it, and the release made of it is what
    must be durable.
    """

    def __init__(self, session, blobs):
        self.session = session
        self.blobs = collections.deque(blobs)
        self.folder = session.root.folder('blobs')
        self.entry = self.file = None
        self.left = 0
        self.digest = None

    def take(self, content):
        """The next bytes: the rest of one content, whole ones, the beginning of another."""
        while len(content) > 0:
            if self.file is None:
                self.empty_ones()
                if not self.blobs:
                    raise refused('bad-request', 'more bytes than the blobs have')
                size = self.blobs[0][1]
                if size <= len(content):
                    self.whole(content[:size])
                    content = content[size:]
                    continue
                self.open()
            part = content[:self.left]
            self.digest.update(part)
            write_all(self.file, part)
            self.left -= len(part)
            content = content[len(part):]
            if self.left == 0:
                self.complete()

    def empty_ones(self):
        """Contents without bytes need none to come."""
        while self.blobs and self.blobs[0][1] == 0:
            self.whole(b'')

    def whole(self, content):
        """A content that is in memory is verified before it is written."""
        self.verify(hashlib.sha256(content).hexdigest())
        self.open()
        write_all(self.file, content)
        self.left = 0
        self.keep()

    def verify(self, actual):
        """Compares with what was announced."""
        expected = self.blobs[0][0]
        if actual != expected:
            raise Failed('checksum-mismatch', path='blobs/' + expected, expected=expected, actual=actual)

    def open(self):
        """A new file. Another session may write the same content at this moment: then this one lies beside it."""
        digest, self.left = self.blobs[0]
        self.digest = hashlib.sha256()
        self.entry = self.session.build.lacking(digest) if self.session.build is not None else None
        if self.entry is not None:
            self.path = self.place = self.session.build.place(self.entry)
            self.file = create_exactly(self.path, self.entry['mode'] & 0o777)
            return
        self.path = self.place = os.path.join(self.folder, digest)
        try:
            self.file = os.open(self.path, NEW_FILE, 0o644)
        except FileExistsError:
            self.path = beside(self.place) + '.%d' % os.getpid()
            self.file = create(self.path, 0o644)

    def complete(self):
        """The last byte of a content came."""
        self.verify(self.digest.hexdigest())
        self.keep()

    def keep(self):
        """A verified content counts; while its file stays this very one, it need not be verified again."""
        found = os.fstat(self.file)
        os.close(self.file)
        self.file = None
        if self.path is not self.place:
            os.rename(self.path, self.place)
        if self.entry is not None:
            self.session.build.keep(self.entry)
        self.session.arrived[self.blobs.popleft()[0]] = (found.st_ino, found.st_mtime_ns, found.st_size)

    def finish(self):
        """All must have come."""
        self.empty_ones()
        if self.blobs:
            raise refused('bad-request', 'the stream ended before the last blob')

    def close(self):
        """What is not complete goes."""
        if self.file is not None:
            os.close(self.file)
            unlink(self.path)


def canonical(manifest):
    """The text whose digest is the release's id: sorted keys, no blanks, UTF-8."""
    try:
        return json.dumps(manifest, sort_keys=True, separators=(',', ':'), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise refused('bad-manifest', 'a text is not valid Unicode')


def upload_stage(session, args):
    """Completes the tree that was begun, and makes it appear by one rename."""
    release, build = release_arg(args), session.build
    if build is None or build.release != release:
        raise refused('not-begun', 'release %s was not begun in this session' % release)
    session.build = None
    record = read_record(session, release)
    try:
        listing = build.finish()
        move_in(session, build.top, release)
    except BaseException:
        build.stop()
        raise
    kept = {key: record[key] for key in ('pinned', 'order', 'withdrawn') if record and record.get(key)}
    state = 'confirmed' if record and record['state'] == 'confirmed' else 'staged'
    sealed = session.supervisor.seals
    built = listing.written if sealed else listing.changed
    outlast(built)
    write_record(session, dict(kept, id=release, state=state, tree=listing.digest(), sealed=sealed, built=built), build.text)
    drop_blobs(session, build.manifest)
    unlink(damaged_path(session))
    return {'path': 'releases/' + release}


def is_whole(session, record):
    """Whether a recorded release's tree is there as it was built."""
    if record is None or not record.get('tree') or not os.path.isdir(tree_of(session, record['id'])):
        return False
    return tree_digest(tree_of(session, record['id'])) == record['tree']


def move_in(session, staging, release):
    """The finished tree becomes the release; a damaged one that is in the way leaves first."""
    folder = session.root.folder('releases')
    if os.path.lexists(tree_of(session, release)):
        os.rename(tree_of(session, release), staging + '.replaced')
    os.rename(staging, tree_of(session, release))
    sync_folder(folder)
    remove_tree(staging + '.replaced')


def drop_blobs(session, manifest):
    """Contents that now lie in a release."""
    there = set(names_in(session.root.at('blobs')))
    for digest in there.intersection(entry['sha256'] for entry in manifest['entries'] if entry['kind'] == 'file'):
        unlink(blob_path(session, digest))


def check_manifest(manifest):
    """Refuses what could not be a packed release, before anything is written."""
    if not isinstance(manifest, dict) or manifest.get('version') != 1 or not isinstance(manifest.get('system'), dict) or not isinstance(manifest.get('entries'), list):
        raise refused('bad-manifest', 'not a manifest of version 1')
    kinds = {}
    for entry in manifest['entries']:
        check_entry(entry)
        if entry['path'] in kinds:
            raise refused('bad-manifest', '%r is listed twice' % entry['path'])
        kinds[entry['path']] = entry['kind']
    for folder in folders_of(kinds):
        if kinds.get(folder, 'folder') != 'folder':
            raise refused('bad-manifest', 'something lies below %r, which is no folder' % folder)
    for wheel in manifest.get('wheels') or []:
        if kinds.get(wheel) != 'file':
            raise refused('bad-manifest', 'the wheel %r is not among the files' % (wheel,))
    if manifest.get('wheels') and any(path.split('/')[0] == 'site-packages' for path in kinds):
        raise refused('bad-manifest', 'site-packages/ is made from the wheels')
    for service in manifest['system'].get('services') or []:
        if not isinstance(service, dict) or not PLAIN_NAME.match(service.get('name') or ''):
            raise refused('bad-manifest', 'a service needs a plain name')


def folders_of(paths):
    """The folders above the paths of a tree."""
    found = set()
    for path in paths:
        folder = path.rpartition('/')[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition('/')[0]
    return found


def check_entry(entry):
    """One line of the manifest."""
    path = entry.get('path') if isinstance(entry, dict) else None
    parts = path.split('/') if isinstance(path, str) else ['']
    if '' in parts or '.' in parts or '..' in parts or '\0' in path:
        raise refused('bad-manifest', 'not a path of a tree: %r' % (path,))
    if '.' in (part[0] for part in parts) and any(part.startswith('.env') or part in ('.git', '.slipway') for part in parts):
        raise refused('forbidden-path', '%r must never be part of a release' % path)
    if not is_sound(entry):
        raise refused('bad-manifest', 'not an entry: %r' % path)
    if entry['kind'] == 'link':
        inside = os.path.normpath(os.path.join(os.path.dirname(path), entry['target']))
        if os.path.isabs(entry['target']) or inside == '..' or inside.startswith('../'):
            raise refused('link-leaves-tree', '%r points at %r' % (path, entry['target']))


def is_sound(entry):
    """Whether an entry has what its kind needs."""
    kind = entry.get('kind')
    if kind == 'link':
        return isinstance(entry.get('target'), str) and entry['target'] != '' and '\0' not in entry['target']
    if not isinstance(entry.get('mode'), int):
        return False
    return kind == 'folder' or (kind == 'file' and isinstance(entry.get('size'), int) and is_digest(entry.get('sha256')))


def is_digest(value):
    """Whether something is a sha256 in hexadecimal digits."""
    return isinstance(value, str) and DIGEST_HEX.match(value) is not None
