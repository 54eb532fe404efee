# ---------------- write, link, remove, restore

def save_folder(session, step):
    """Where a step's prior state lies; the step's id becomes one file name."""
    name = urllib_parse.quote(step, safe='')
    return session.root.at('state', 'saved', session.run, name if not name.startswith('.') else '%2E' + name[1:])


def save(session, path, step):
    """Keeps what is at `path`, once: `what.json` is written last, so its presence means that the save is whole."""
    folder = save_folder(session, step)
    # What puts back is never put back itself, and needs no room for that.
    if session.undoing or os.path.exists(os.path.join(folder, 'what.json')):
        return
    session.root.folder(*os.path.relpath(folder, session.root.path).split(os.sep))
    write_json(os.path.join(folder, 'what.json'), dict(describe(path, folder), parents=missing_parents(session, path)))


def describe(path, folder):
    """What is at `path`; a file's content is copied, a tree is moved here only when it is removed."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return {'kind': 'absent'}
    if stat.S_ISLNK(found.st_mode):
        return {'kind': 'link', 'target': os.readlink(path)}
    if stat.S_ISDIR(found.st_mode):
        return {'kind': 'folder'}
    if not stat.S_ISREG(found.st_mode):
        raise refused('not-a-file', 'neither a file, a link nor a folder: %s' % path)
    content = os.path.join(folder, 'content')
    with open(path, 'rb') as source, os.fdopen(create(content), 'wb') as target:
        shutil.copyfileobj(source, target, COPY_CHUNK_BYTES)
        target.flush()
        os.fsync(target.fileno())
    return {'kind': 'file', 'mode': stat.S_IMODE(found.st_mode), 'owner': [found.st_uid, found.st_gid]}


def missing_parents(session, path):
    """The folders above `path` that are not there yet, deepest first: a restore takes them away again."""
    missing = []
    parent = os.path.dirname(path)
    while not os.path.lexists(parent):
        missing.append(session.root.relative(parent))
        parent = os.path.dirname(parent)
    return missing


def make_parents(session, path):
    """Makes the folders above `path`."""
    parent = os.path.relpath(os.path.dirname(path), session.root.path)
    if parent != '.':
        session.root.folder(*parent.split(os.sep))


def is_folder(path):
    """Whether a real folder, not a link to one, is there."""
    return os.path.isdir(path) and not os.path.islink(path)


def write(session, args):
    """Writes a file whole."""
    path, content = session.root.entry(args.get('path')), text_arg(args, 'content').encode('utf-8', 'surrogatepass')
    if is_folder(path):
        raise refused('not-a-file', '%s is a folder' % args['path'])
    save(session, path, text_arg(args, 'step'))
    make_parents(session, path)
    write_durably(path, content, int(args.get('mode') or 0o644) & 0o7777, session.supervisor.owner(path))


def link(session, args):
    """Makes or replaces a link; without a target, removes it."""
    path, target = session.root.entry(args.get('path')), args.get('target')
    if os.path.lexists(path) and not os.path.islink(path):
        raise refused('not-a-link', '%s is a real folder or file; move it away by hand' % args['path'])
    save(session, path, text_arg(args, 'step'))
    if target is not None:
        make_parents(session, path)
        link_durably(path, text_arg(args, 'target'))
    else:
        unlink_durably(path)


def remove(session, args):
    """Removes a file, link or tree; a tree is moved into the save, whole, by one rename."""
    path, step = session.root.entry(args.get('path')), text_arg(args, 'step')
    save(session, path, step)
    if not os.path.lexists(path):
        return
    kept = os.path.join(save_folder(session, step), 'tree')
    if is_folder(path) and not os.path.lexists(kept):
        os.rename(path, kept)
        sync_folder(os.path.dirname(kept))
    else:
        remove_tree(path)
    sync_folder(os.path.dirname(path))


def restore(session, args):
    """Puts back what a step found; without a save it does nothing, and it may be called again."""
    path, folder = session.root.entry(args.get('path')), save_folder(session, text_arg(args, 'saved'))
    what = read_json(os.path.join(folder, 'what.json'))
    if what is None:
        return
    if what['kind'] == 'folder':
        return restore_tree(path, os.path.join(folder, 'tree'))
    if is_folder(path):
        raise refused('not-a-file', '%s is a folder now; nothing was put back' % args['path'])
    if what['kind'] == 'absent':
        return restore_absent(session, path, what['parents'])
    make_parents(session, path)
    if what['kind'] == 'link':
        return link_durably(path, what['target'])
    with open(os.path.join(folder, 'content'), 'rb') as file:
        write_durably(path, file.read(), what['mode'], what['owner'])


def run_undoable(session, args):
    """What stands against an undo of this session's run: named prior states that are gone, a later run that built on it."""
    saved = args.get('saved') or []
    found = read_json(os.path.join(session.root.at('state'), 'runs.json')) or {}
    begun = (found.get('runs') or {}).get(session.run)
    later = begun is not None and begun < found.get('turn', 0)
    return {
        'missing': [step for step in saved if not os.path.exists(os.path.join(save_folder(session, step), 'what.json'))],
        'later': found.get('last') if later else None,
    }


def restore_tree(path, kept):
    """A tree comes back by the rename that took it away; no kept tree means that it never went."""
    if not os.path.lexists(kept):
        return
    remove_tree(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.rename(kept, path)
    sync_folder(os.path.dirname(path))


def restore_absent(session, path, parents):
    """There was nothing: not even the folders above it."""
    if not os.path.isdir(os.path.dirname(path)):
        return
    unlink(beside(path))
    unlink_durably(path)
    for parent in parents:
        try:
            os.rmdir(session.root.at(parent))
        except OSError:
            return  # something else lies in it now


def read(session, args):
    """A small text file, or None."""
    path = session.root.followed(args.get('path'))
    try:
        with open(path, 'rb') as file:
            content = file.read(MAX_READ_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(content) > MAX_READ_BYTES:
        raise refused('too-large', '%s is larger than %d bytes' % (args['path'], MAX_READ_BYTES))
    return {'content': content.decode('utf-8', 'replace')}


def run(session, args):
    """A command below the root."""
    argv = args.get('argv')
    if not isinstance(argv, list) or not argv or not all(isinstance(part, str) and '\0' not in part for part in argv):
        raise refused('bad-request', 'argv must be a list of texts')
    timeout_s = args['timeoutMs'] / 1000 if args.get('timeoutMs') else DEFAULT_TIMEOUT_S
    grace_s = args['graceMs'] / 1000 if args.get('graceMs') is not None else DEFAULT_GRACE_S
    env = dict(basic_environment(), **(args.get('env') or {}))
    capture = bool(args.get('capture'))
    stdout = execute(session, argv, session.root.followed(args.get('cwd')), env, timeout_s, grace_s, capture, args.get('okExits') or (0,))
    return {'stdout': stdout if capture else ''}
