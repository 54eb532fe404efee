# ---------------- transfer

def blob_path(session, digest):
    """Where an arrived content lies."""
    return session.root.at('blobs', digest[:2], digest)


def blob_list(args):
    """The `[digest, size]` pairs of a message."""
    blobs = args.get('blobs')
    if not isinstance(blobs, list):
        raise refused('bad-request', 'blobs must be a list')
    for pair in blobs:
        if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and DIGEST_HEX.match(pair[0]) and isinstance(pair[1], int) and pair[1] >= 0):
            raise refused('bad-request', 'a blob is [sha256, size]')
    return [(digest, size) for digest, size in blobs]


def has_size(path, size):
    """Whether a regular file of that size is there."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == size


def damaged_path(session):
    """Digests whose file in a release turned out to be damaged: only a blob can give them."""
    return session.root.at('state', 'damaged.json')


def sources(session):
    """Where the contents of the releases on the device lie: `{ digest: [path, …] }`."""
    found = collections.defaultdict(list)
    damaged = set(read_json(damaged_path(session)) or [])
    for record in records(session):
        top = tree_of(session, record['id'])
        for entry in (record.get('manifest') or {}).get('entries', []):
            if entry['kind'] == 'file' and entry['sha256'] not in damaged:
                found[entry['sha256']].append(os.path.join(top, entry['path']))
    return found


def upload_missing(session, args):
    """What neither the blobs nor a release on the device can give."""
    wanted, there = blob_list(args), sources(session)
    missing = []
    for digest, size in dict(wanted).items():
        if not any(has_size(path, size) for path in [blob_path(session, digest)] + there.get(digest, [])):
            missing.append(digest)
    return {'missing': missing}


def upload_put(session, args):
    """Receives contents; each that is complete and right counts, whatever becomes of the connection afterwards."""
    blobs = blob_list(args)
    if sum(size for _, size in blobs) != session.message.left:
        raise refused('bad-request', 'the sizes do not add up to the bytes that follow')
    for digest, size in blobs:
        session.check()
        session.root.folder('blobs', digest[:2])
        put_blob(session, digest, size)


def put_blob(session, digest, size):
    """
    One content: written beside its place, verified, renamed. Not fsynced: it is verified again when it is used, so
    one that a power cut damaged is asked for again, and the release made of it is what must be durable.
    """
    path = blob_path(session, digest)
    temporary = beside(path)
    try:
        with os.fdopen(create(temporary), 'wb') as file:
            actual = receive(session, file, size)
        if actual != digest:
            raise Failed('checksum-mismatch', path=session.root.relative(path), expected=digest, actual=actual)
        os.rename(temporary, path)
    except BaseException:
        unlink(temporary)
        raise


def receive(session, file, size):
    """`size` bytes of the connection into a file; their sha256."""
    digest = hashlib.sha256()
    left = size
    while left > 0:
        chunk = session.take(min(left, COPY_CHUNK_BYTES))
        digest.update(chunk)
        file.write(chunk)
        left -= len(chunk)
    return digest.hexdigest()


def canonical(manifest):
    """The text whose digest is the release's id: sorted keys, no blanks, UTF-8."""
    try:
        return json.dumps(manifest, sort_keys=True, separators=(',', ':'), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise refused('bad-manifest', 'a text is not valid Unicode')


def upload_stage(session, args):
    """Builds a release's tree out of what is there, verified, and makes it appear by one rename."""
    release, manifest = release_arg(args), args.get('manifest')
    check_manifest(manifest)
    digest = hashlib.sha256(canonical(manifest)).hexdigest()
    if digest[:16] != release:
        raise Failed('checksum-mismatch', path='manifest', expected=release, actual=digest[:16])
    remove_tree(session.root.at('incoming'))
    record = read_record(session, release)
    if is_whole(session, record):
        drop_blobs(session, manifest)
        return {'path': 'releases/' + release}
    staging = os.path.join(session.root.folder('incoming'), '%s.%s' % (release, session.run))
    try:
        build_tree(session, staging, manifest)
        tree = tree_digest(staging)
        move_in(session, staging, release)
    except BaseException:
        remove_tree(staging)
        raise
    kept = {key: record[key] for key in ('pinned', 'order', 'withdrawn') if record and record.get(key)}
    state = 'confirmed' if record and record['state'] == 'confirmed' else 'staged'
    write_record(session, dict(kept, id=release, state=state, manifest=manifest, tree=tree))
    drop_blobs(session, manifest)
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
    for entry in manifest['entries']:
        if entry['kind'] == 'file':
            unlink(blob_path(session, entry['sha256']))


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
    for path in kinds:
        for parent in parents_of(path):
            if kinds.get(parent, 'folder') != 'folder':
                raise refused('bad-manifest', '%r lies below %r, which is no folder' % (path, parent))
    for wheel in manifest.get('wheels') or []:
        if kinds.get(wheel) != 'file':
            raise refused('bad-manifest', 'the wheel %r is not among the files' % (wheel,))
    if manifest.get('wheels') and any(path.split('/')[0] == 'site-packages' for path in kinds):
        raise refused('bad-manifest', 'site-packages/ is made from the wheels')
    for service in manifest['system'].get('services') or []:
        if not isinstance(service, dict) or not PLAIN_NAME.match(service.get('name') or ''):
            raise refused('bad-manifest', 'a service needs a plain name')


def parents_of(path):
    """The folders above a path of a tree."""
    parts = path.split('/')
    return ['/'.join(parts[:length]) for length in range(1, len(parts))]


def check_entry(entry):
    """One line of the manifest."""
    path = entry.get('path') if isinstance(entry, dict) else None
    if not isinstance(path, str) or '\0' in path or any(part in ('', '.', '..') for part in path.split('/')):
        raise refused('bad-manifest', 'not a path of a tree: %r' % (path,))
    if any(part.startswith('.env') or part in ('.git', '.slipway') for part in path.split('/')):
        raise refused('forbidden-path', '%r must never be part of a release' % path)
    kind = entry.get('kind')
    sound = {
        'file': lambda: isinstance(entry.get('mode'), int) and isinstance(entry.get('size'), int) and DIGEST_HEX.match(entry.get('sha256') or ''),
        'folder': lambda: isinstance(entry.get('mode'), int),
        'link': lambda: isinstance(entry.get('target'), str) and entry['target'] != '' and '\0' not in entry['target'],
    }
    if kind not in sound or not sound[kind]():
        raise refused('bad-manifest', 'not an entry: %r' % path)
    if kind == 'link':
        inside = os.path.normpath(os.path.join(os.path.dirname(path), entry['target']))
        if os.path.isabs(entry['target']) or inside == '..' or inside.startswith('../'):
            raise refused('link-leaves-tree', '%r points at %r' % (path, entry['target']))


def build_tree(session, top, manifest):
    """Materialises a manifest, with its wheels; everything is durable before the tree gets its name."""
    os.mkdir(top, 0o755)
    there = sources(session)
    for entry in manifest['entries']:
        session.check()
        place = os.path.join(top, entry['path'])
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if entry['kind'] == 'file':
            build_file(session, place, entry, there)
        elif entry['kind'] == 'link':
            os.symlink(entry['target'], place)
        else:
            os.makedirs(place, exist_ok=True)
    check_links(top, manifest)
    unpack_wheels(session, top, manifest.get('wheels') or [])
    # Folder modes come last, deepest first: one that forbids writing would forbid what goes into it.
    for entry in sorted(manifest['entries'], key=lambda one: one['path'], reverse=True):
        if entry['kind'] == 'folder':
            os.chmod(os.path.join(top, entry['path']), entry['mode'] & 0o777)
    sync_tree(top)


def check_links(top, manifest):
    """What the text of a link does not show: one that leaves the tree by way of another link."""
    real = os.path.realpath(top)
    for entry in manifest['entries']:
        if entry['kind'] == 'link':
            end = os.path.realpath(os.path.join(top, entry['path']))
            if end != real and not end.startswith(real + os.sep):
                raise refused('link-leaves-tree', '%r leads out of the release' % entry['path'])


def build_file(session, place, entry, there):
    """One file from a blob or from a release that has it, verified while copied; never hard-linked."""
    blob = blob_path(session, entry['sha256'])
    actual = None
    for source in [blob] + there.get(entry['sha256'], []):
        if not has_size(source, entry['size']):
            continue
        actual = copy_verified(source, place, entry)
        if actual == entry['sha256']:
            return
        forget(session, source, blob, entry['sha256'])
    if actual is None:
        raise refused('blob-missing', 'the content of %r (%s) has not arrived' % (entry['path'], entry['sha256'][:12]))
    raise Failed('checksum-mismatch', path=entry['path'], expected=entry['sha256'], actual=actual)


def copy_verified(source, place, entry):
    """Copies with its mode; returns the digest of what was copied."""
    fd = create(place)
    try:
        with open(source, 'rb') as file:
            actual = copy_hashed(file, fd)
        os.fchmod(fd, entry['mode'] & 0o777)
    finally:
        os.close(fd)
    return actual


def forget(session, source, blob, digest):
    """A damaged source must not count as there: the next `upload.missing` asks for the content again."""
    if source == blob:
        unlink(blob)
    else:
        session.root.folder('state')
        write_json(damaged_path(session), sorted(set(read_json(damaged_path(session)) or []) | {digest}))
