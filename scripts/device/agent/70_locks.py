# ---------------- locks

def lock_path(session, name):
    """A lock's file: never unlinked, for a lock on an unlinked file excludes nobody."""
    return session.root.at('state', 'lock-' + name)


def lock(session, args):
    """
    A kernel lock, held by this process; tried a few times, since a status may just look whether it is held. It is
    `continued` when the last to hold it was this very run and client and did not free it: nobody else had it since.
    """
    name, client = name_arg(args), str(args.get('client') or '')
    if name in session.locks:
        return {'continued': True}
    session.root.folder('state')
    if name == 'deploy' and not session.booting:
        session.supervisor.await_boot()
    fd = os.open(lock_path(session, name), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        for attempt in range(LOCK_TRIES):
            if try_lock(fd, fcntl.LOCK_EX):
                break
            session.rest(LOCK_RETRY_S)
        else:
            raise Failed('lock-held', name=name, holder=holder_text(fd))
        continued = was_ours(holder_text(fd), session.run, client)
        own = process(os.getpid())
        holder = {
            'run': session.run, 'client': client, 'pid': os.getpid(), 'started': own.started if own else '',
            'boot': BOOT, 'since': now(),
        }
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps(holder).encode()[:MAX_HOLDER_BYTES], 0)
        os.fsync(fd)
    except BaseException:
        os.close(fd)
        raise
    session.locks[name] = fd
    if name == 'deploy' and args.get('switch', True):
        try:
            settle_switch(session)
        except BaseException:
            unlock(session, args)
            raise
    return {'continued': continued}


def was_ours(text, run, client):
    """Whether a lock that is free was left, since this boot, by the same run of the same client."""
    try:
        found = json.loads(text)
    except ValueError:
        return False
    ours = {'run': run, 'client': client, 'boot': BOOT}
    return isinstance(found, dict) and all(found.get(key) == value for key, value in ours.items())


def try_lock(fd, kind):
    """Whether the lock was to be had."""
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def holder_text(fd):
    """Who holds a lock, as the holder wrote it."""
    return os.pread(fd, MAX_HOLDER_BYTES, 0).decode('utf-8', 'replace')


def unlock(session, args):
    """Frees a lock that this session holds."""
    fd = session.locks.pop(name_arg(args), None)
    if fd is not None:
        os.ftruncate(fd, 0)
        os.close(fd)


def lock_state(session, name):
    """Who holds a lock, or None: looked at with a shared lock for an instant."""
    try:
        fd = os.open(lock_path(session, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return None if try_lock(fd, fcntl.LOCK_SH) else {'holder': holder_text(fd)}
    finally:
        os.close(fd)
