# ---------------- data

def database_path(session, manifest):
    """The declared database's place below the data folder, links followed; None when none is declared."""
    database = manifest['system'].get('database')
    if not database:
        return None
    path = os.path.realpath(session.root.entry('shared/data/' + database['path']))
    if not path.startswith(os.path.realpath(session.root.at('shared', 'data')) + os.sep):
        raise refused('outside-root', 'the database %r does not lie in the data folder' % database['path'])
    return path


def connect(path):
    """Opens an existing database: `mode=rw` makes a mistyped path fail instead of creating an empty one."""
    return sqlite3.connect('file:%s?mode=rw' % urllib_parse.quote(path), uri=True, timeout=DATABASE_BUSY_S, isolation_level=None)


def table_counts(connection):
    """Rows per table; None for a table that this SQLite cannot read (an extension's)."""
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")]
    counts = {}
    for name in names:
        try:
            counts[name] = connection.execute('SELECT count(*) FROM "%s"' % name.replace('"', '""')).fetchone()[0]
        except sqlite3.OperationalError:
            counts[name] = None
    return counts


def check_database(connection):
    """Both checks: `integrity_check` alone passes over foreign keys that point nowhere."""
    said = [row[0] for row in connection.execute('PRAGMA integrity_check(3)')]
    if said != ['ok']:
        raise refused('database-damaged', '; '.join(str(line) for line in said))
    broken = connection.execute('PRAGMA foreign_key_check').fetchmany(3)
    if broken:
        raise refused('database-damaged', 'rows that refer to nothing in: %s' % ', '.join(sorted({str(row[0]) for row in broken})))


def copy_places(session, name):
    """A copy and its manifest, by the copy's name: `RELEASE.RUN`, so that no run overwrites another's."""
    return session.root.at('copies', name + '.sqlite3'), session.root.at('copies', name + '.json')


def copy_data(session, args):
    """Copies the database in one read snapshot, beside writers, and checks the copy."""
    release = release_arg(args)
    source = database_path(session, manifest_of(session, release))
    if source is None or not os.path.exists(source):
        return {'copy': None, 'bytes': 0}
    folder = session.root.folder('copies')
    copy, about = copy_places(session, '%s.%s' % (release, session.run))
    part = beside(copy)
    require_room(folder, source)
    try:
        remove_database(part)
        os.close(create(part))
        facts = copy_database(source, part)
        session.check()
        unlink(about)  # from here until the end there is no copy, rather than one with another's manifest
        os.rename(part, copy)
        sync_folder(folder)
    finally:
        remove_database(part)
    found = os.stat(source)
    facts.update(release=release, at=now(), mode=stat.S_IMODE(found.st_mode), owner=[found.st_uid, found.st_gid])
    write_json(about, facts)
    collect_copies(session)  # not only after a deploy that worked: one that fails again and again must not fill the disk
    return {'copy': session.root.relative(copy), 'bytes': facts['bytes']}


def require_room(folder, source):
    """SQLite names a full disk by text alone before Python 3.11, so room is looked at first."""
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize < database_size(source):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), folder)


def copy_database(source, target):
    """The backup, made one file, checked and fsynced; facts about it."""
    origin, copy = connect(source), connect(target)
    try:
        mode = origin.execute('PRAGMA journal_mode').fetchone()[0]
        origin.backup(copy, pages=-1)
        copy.execute('PRAGMA journal_mode=DELETE')
        check_database(copy)
        counts, version = table_counts(copy), copy.execute('PRAGMA user_version').fetchone()[0]
    finally:
        copy.close()
        origin.close()
    sync_file(target)
    return {
        'sha256': file_digest(target), 'bytes': os.path.getsize(target), 'counts': counts, 'userVersion': version,
        'journalMode': mode, 'sqlite': sqlite3.sqlite_version,
    }


def remove_database(path):
    """A database that is no longer wanted, with what SQLite puts beside it."""
    for suffix in DATABASE_FILES:
        unlink(path + suffix)


def drop_copy(session, args):
    """Removes what an interrupted copy of this run left; a finished copy stays."""
    copy, about = copy_places(session, '%s.%s' % (release_arg(args), session.run))
    remove_database(beside(copy))
    if not os.path.exists(about):
        unlink_durably(copy)


def migrate(session, args):
    """Runs the release's own migration command, while nobody else has the database open."""
    release = release_arg(args)
    manifest = manifest_of(session, release)
    database = manifest['system'].get('database')
    if not database:
        return
    require_closed(session, database_path(session, manifest))
    session.root.folder('shared', 'data')
    timeout_s = args['timeoutMs'] / 1000 if args.get('timeoutMs') else DEFAULT_TIMEOUT_S
    run_declared(session, release, manifest, database['migrate'], database.get('env'), timeout_s)


def restore_data(session, args):
    """
    Puts a copy back in the safe order of docs/procedures, or moves a half-made database aside when there was none.
    Killed anywhere, it leaves the old or the new database whole, and called again it finishes. Not cancelled half way.
    """
    release = release_arg(args)
    database = database_path(session, manifest_of(session, release))
    if database is None:
        return
    if args.get('copy') is None:
        return move_aside(session, database, release)
    named = re.match(r'copies/(%s\.[A-Za-z0-9._-]+)\.sqlite3\Z' % release, text_arg(args, 'copy'))
    if named is None:
        raise refused('bad-request', '%r is no copy made for release %s' % (args['copy'], release))
    copy, about = copy_places(session, named.group(1))
    facts = read_json(about)
    if facts is None or not os.path.exists(copy):
        raise refused('no-copy', '%s is not there, or without its manifest' % args['copy'])
    os.makedirs(os.path.dirname(database), mode=0o700, exist_ok=True)
    staged = stage_copy(session, copy, database, facts)
    try:
        require_closed(session, database)
        settle_old(session, database, release)
        os.rename(staged, database)
        sync_folder(os.path.dirname(database))
    except BaseException:
        unlink(staged)
        raise
    finish_restore(database, facts)


def stage_copy(session, copy, database, facts):
    """The copy on the database's own file system, verified, fsynced and checked, with the old mode and owner."""
    staged = beside(database)
    remove_database(staged)
    try:
        fd = create(staged)
        try:
            with open(copy, 'rb') as file:
                actual = copy_hashed(file.fileno(), fd)
            chown(fd, facts['owner'])
            os.fchmod(fd, facts['mode'])
            os.fsync(fd)
        finally:
            os.close(fd)
        if actual != facts['sha256']:
            raise Failed('checksum-mismatch', path=session.root.relative(copy), expected=facts['sha256'], actual=actual)
        connection = connect(staged)
        try:
            check_database(connection)
        finally:
            connection.close()
    except BaseException:
        remove_database(staged)
        raise
    return staged


def require_closed(session, database):
    """Proves that nobody has the database open: a writer would silently revert what is put in its place."""
    paths = {database + suffix for suffix in DATABASE_FILES}
    holders = {pid for pid, opened in open_files() if opened.replace(' (deleted)', '') in paths and pid != os.getpid()}
    if holders:
        raise refused('database-open', 'process %s has the database open' % ', '.join(str(pid) for pid in sorted(holders)))


def settle_old(session, database, release):
    """The old database without log or journal beside it: whatever lay there would be played into the new one."""
    if os.path.exists(database):
        try:
            leave_wal(database)
        except sqlite3.DatabaseError as error:
            if in_use(error):
                raise refused('database-open', 'another process has the database open')
            move_files_aside(session, database, release)  # too damaged to open: kept, but out of the way
    elif any(os.path.exists(database + suffix) for suffix in DATABASE_SUFFIXES):
        move_files_aside(session, database, release)
    left = [suffix for suffix in DATABASE_SUFFIXES if os.path.exists(database + suffix)]
    if left:
        raise refused('database-open', 'the old database still has %s' % ' and '.join(left))


def in_use(error):
    """Whether SQLite refused because of another connection."""
    name = getattr(error, 'sqlite_errorname', None)
    return name.startswith(('SQLITE_BUSY', 'SQLITE_LOCKED')) if name else 'locked' in str(error)


def leave_wal(database):
    """Checkpoints and leaves WAL mode, which fails while any other connection exists."""
    connection = sqlite3.connect('file:%s?mode=rw' % urllib_parse.quote(database), uri=True, timeout=1, isolation_level=None)
    try:
        connection.execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchall()
        mode = connection.execute('PRAGMA journal_mode=DELETE').fetchone()[0]
        connection.execute('SELECT count(*) FROM sqlite_master').fetchall()  # rolls an unfinished transaction back
    finally:
        connection.close()
    if mode != 'delete':
        raise refused('database-open', 'the database cannot leave WAL mode: another process has it open')


def finish_restore(database, facts):
    """WAL again where it was, and the rows counted against the copy's manifest."""
    connection = connect(database)
    try:
        if facts['journalMode'] == 'wal':
            connection.execute('PRAGMA journal_mode=WAL')
        counts = table_counts(connection)
    finally:
        connection.close()
    if counts != facts['counts']:
        raise refused('counts-differ', 'the restored database does not hold the rows of its copy')


def move_aside(session, database, release):
    """There was no database before: what a migration half made is kept, but out of the way."""
    if not any(os.path.exists(database + suffix) for suffix in DATABASE_FILES):
        return
    require_closed(session, database)
    move_files_aside(session, database, release)


def move_files_aside(session, database, release):
    """The database last: while its main file is there, a repeated call moves the rest, too."""
    session.root.folder('copies')
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime('%Y%m%dT%H%M%S%f')
    aside = session.root.at('copies', 'aside-%s-%s.sqlite3' % (stamp, release))
    for suffix in DATABASE_SUFFIXES + ('',):
        if os.path.exists(database + suffix):
            shutil.move(database + suffix, aside + suffix)
    sync_folder(os.path.dirname(database))
    sync_folder(os.path.dirname(aside))
