# ---------------- the dead-man's switch

# A switch of releases is put back by the device alone. Its journal lies in one file that is laid whole when the switch
# is armed, so that a full disk cannot keep it from being written, or anything from being put back:
#   bytes 0–15    the lease: until when the client counts as there (seconds of the boot's clock, little-endian double)
#   from byte 16  records, one a line: crc32 of the JSON text, a blank, the JSON text; zeros behind the last
# armed → confirmed → finished, or armed → taking-back (→ stuck → taking-back) → taken-back. Whoever writes `confirmed`
# or `taking-back` first, under the file's lock, has decided.
SWITCH_BYTES = 256 * KIB
SWITCH_HEAD = 16
BALLAST_BYTES = MIB
SHORTEST_LEASE_S = 1.0
LONGEST_LEASE_S = 3600.0
SEEN_ARMED_S = 15.0
KEEPER_POLL_S = 0.2
HOLDER_TERM_S = 5.0
HOLDER_GONE_S = 30.0
STUCK_REST_S = 5.0
STUCK_TRIES = 12

KEEPER = "the dead-man's switch"
KEEPER_LOADER = '''import hashlib, sys
source = open(sys.argv[1], "rb").read()
if hashlib.sha256(source).hexdigest() != sys.argv[2]:
    sys.exit(sys.argv[1] + " is not what was armed: nothing was put back by it")
exec(compile(source, "slipway-agent", "exec"), {"__name__": "keeper", "ROOT": sys.argv[3]})'''


def boot_clock():
    """Seconds that only grow, the same for all processes of one boot; a sleeping board counts where it can."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, 'CLOCK_BOOTTIME') else time.monotonic()


def framed(record):
    """A record as it stands in the journal."""
    text = json.dumps(record, separators=(',', ':')).encode()
    return b'%08x %s\n' % (zlib.crc32(text), text)


def parse_records(content):
    """
    The records of a journal, where the next one goes, and how many lines are damaged. What stands behind the last whole
    one is the beginning of a record that was cut off: it never counted. A damaged one before it hides none after it.
    """
    found, damaged, at, end, skipped = [], 0, SWITCH_HEAD, SWITCH_HEAD, 0
    while True:
        next_at = content.find(b'\n', at) + 1
        if next_at == 0:
            return found, end, damaged
        record = record_in(content[at:next_at - 1])
        if record is None:
            skipped += 1
        else:
            found.append(record)
            damaged, end, skipped = damaged + skipped, next_at, 0
        at = next_at


def record_in(line):
    """The record of a line, or None where the line is not as it was written."""
    if len(line) < 10 or not re.match(rb'[0-9a-f]{8} ', line) or int(line[:8], 16) != zlib.crc32(line[9:]):
        return None
    return json.loads(line[9:])


class Switch:
    """The switch that was armed last, as its journal tells."""

    def __init__(self, root):
        self.root = root
        self.path = root.at('state', 'switch')
        try:
            with open(self.path, 'rb') as file:
                content = file.read()
        except FileNotFoundError:
            content = b''
        self.records, self.end, self.damaged = parse_records(content)
        self.armed = next((one for one in self.records if one['is'] == 'armed'), None)
        self.lease = struct.unpack_from('<d', content)[0] if self.armed else 0.0

    def named(self, kind):
        """The last record of a kind, or None."""
        return next((one for one in reversed(self.records) if one['is'] == kind), None)

    @property
    def state(self):
        """`none` before the first one; otherwise what was recorded last of these."""
        if self.armed is None:
            return 'none'
        kinds = ('armed', 'confirmed', 'finished', 'taking-back', 'stuck', 'taken-back')
        return next((one['is'] for one in reversed(self.records) if one['is'] in kinds), 'none')

    @property
    def is_open(self):
        """Whether something is still to be decided, put back or written down."""
        return self.state in ('armed', 'confirmed', 'taking-back', 'stuck')

    @property
    def is_over(self):
        """Armed, and the client was silent for too long, or the board has booted since."""
        # A lease that no client can have asked for is none.
        left = self.lease - boot_clock()
        return self.state == 'armed' and not (self.armed['boot'] == BOOT and 0 < left <= self.armed['leaseS'])

    def of(self, run):
        """Whether this run armed it."""
        return self.armed is not None and self.armed['run'] == run

    def pending(self):
        """Changes to put back, the latest first."""
        over = {one['id'] for one in self.records if one['is'] in ('done', 'undone')}
        changes = [one for one in self.records if one['is'] == 'change']
        return [one for one in reversed(changes) if one['id'] not in over]

    def append(self, **record):
        """Writes one record into the room laid for it; the caller holds the lock."""
        line = framed(record)
        if self.end + len(line) > SWITCH_BYTES:
            raise refused('switch-full', 'the journal of the switch is full')
        fd = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.pwrite(fd, line, self.end)
            os.fsync(fd)
        finally:
            os.close(fd)
        self.end += len(line)
        self.records.append(record)

    def begin(self, lease_s, **record):
        """Lays the journal of a new switch, whole, with its first record."""
        folder = self.root.folder('state')
        head = struct.pack('<d', boot_clock() + lease_s).ljust(SWITCH_HEAD, b'\0')
        # Twice: without it nothing could be put back, whatever else is readable.
        content = (head + 2 * framed(record)).ljust(SWITCH_BYTES, b'\0')
        write_durably(os.path.join(folder, 'ballast'), os.urandom(KIB) * (BALLAST_BYTES // KIB))
        write_durably(self.path, content)
        self.records, self.end, self.damaged = parse_records(content)
        self.armed = record

    def extend(self, lease_s):
        """The client was heard of."""
        fd = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.pwrite(fd, struct.pack('<d', boot_clock() + lease_s), 0)
        finally:
            os.close(fd)

    def outcome(self):
        """What came of it, for the client: `{ state, why, change, failure }`."""
        state = {'finished': 'confirmed'}.get(self.state, self.state)
        why = (self.named('taking-back') or {}).get('why', '')
        stuck = self.named('stuck') if state == 'stuck' else None
        return {
            'state': state, 'why': why, 'change': stuck['id'] if stuck else None,
            'failure': stuck['failure'] if stuck else None,
        }


@contextlib.contextmanager
def switch_held(root):
    """The switch, and nobody else who writes to it: held for the moment of a decision, never while something acts."""
    with only_one(os.path.join(root.folder('state'), 'switch.lock')):
        yield Switch(root)


def switch_arm(session, args):
    """
    Arms the switch and sees it armed: from here on this client must be heard of, and every change says first how it
    is put back. Called again by the same run, it only looks.
    """
    release = release_arg(args)
    lease_s = min(max((args.get('leaseMs') or 0) / 1000, SHORTEST_LEASE_S), LONGEST_LEASE_S)
    if 'deploy' not in session.locks:
        raise refused('bad-request', 'a switch is armed under the lock "deploy"')
    with switch_held(session.root) as switch:
        if switch.is_open and not (switch.of(session.run) and switch.state == 'armed'):
            raise refused('switch-armed', 'a switch to release %s is not over' % switch.armed['release'])
        if not switch.is_open:
            switch.begin(lease_s, **{
                'is': 'armed', 'run': session.run, 'client': session.client, 'release': release, 'from': args.get('from'),
                'leaseS': lease_s, 'boot': BOOT, 'at': now(), 'header': session.kept_header(),
                'errors': error_rates(session, args.get('from')),
            })
    # Its client waits and is heard of meanwhile; until it is seen armed may take longer than a short lease.
    session.lease_s = lease_s
    try:
        see_armed(session, lease_s)
    except BaseException:
        session.lease_s = None
        with switch_held(session.root) as switch:
            if switch.of(session.run) and switch.state == 'armed':
                switch.append(**{'is': 'taking-back', 'why': 'it could not be armed', 'at': now()})
                switch.append(**{'is': 'taken-back', 'at': now()})
        disarm(session)
        raise
    session.beat()


def see_armed(session, lease_s):
    """Starts what watches the lease, unless it is there, and waits for its own word that it is."""
    if keeper_there(session):
        return
    source = os.path.join(session.root.folder('state'), 'keeper.py')
    digest = hashlib.sha256(SOURCE).hexdigest()  # noqa: F821  the bootstrap's global
    if not os.path.exists(source) or file_digest(source) != digest:
        write_durably(source, SOURCE)  # noqa: F821
    argv = [sys.executable, '-I', '-S', '-c', KEEPER_LOADER, source, digest, session.root.path]
    session.supervisor.watch(argv, os.path.join(session.root.folder('state'), 'keeper.log'), lease_s)
    deadline = time.monotonic() + SEEN_ARMED_S
    while not keeper_there(session):
        if time.monotonic() >= deadline:
            raise refused('not-armed', "the dead-man's switch did not begin to watch")
        reap(session)
        session.rest(POLL_S / 5)


def keeper_there(session):
    """Whether something watches the lease: a process that said so and lives, or a timer that runs."""
    watched = Switch(session.root).named('watched')
    return watched is not None and session.supervisor.watches(watched)


def disarm(session):
    """Ends what watches, once there is nothing to watch for, and frees the room that was kept."""
    switch = Switch(session.root)
    watched = switch.named('watched')
    if watched is not None:
        session.supervisor.unwatch(watched)
    reap(session)
    unlink(session.root.at('state', 'ballast'))


def intend(session, change):
    """Before a change acts: how it is put back, on the disk. Refused once the device has begun to put back."""
    known = isinstance(change, dict) and isinstance(change.get('id'), str) and isinstance(change.get('undo'), list)
    if not known or any(step.get('op') not in OPERATIONS for step in change['undo']):
        raise refused('bad-request', 'not a change that could be put back')
    with switch_held(session.root) as switch:
        again = any(one['is'] == 'change' and one['id'] == change['id'] for one in switch.records)
        # The confirmation may have been heard to its end, and its answer lost.
        goes_on = ('armed', 'confirmed', 'finished') if again else ('armed', 'confirmed')
        if not switch.of(session.run) or switch.state not in goes_on or switch.is_over:
            raise taken_back(switch)
        if not again:
            switch.append(**{'is': 'change', 'id': change['id'], 'undone': change.get('undone'), 'undo': change['undo']})


def fulfil(session, change):
    """After a change that is put back only while it is unfinished: it is finished."""
    if change.get('undone') == 'unless-done':
        with switch_held(session.root) as switch:
            switch.append(**{'is': 'done', 'id': change['id']})


def taken_back(switch):
    """Why this run may not go on with its switch."""
    said = switch.named('taking-back')
    late = switch.state == 'armed' and switch.is_over
    why = said['why'] if said else 'nothing was heard of the client in time' if late else 'no switch is armed'
    return refused('taken-back', 'this switch is no longer to be finished: %s' % why)


def switch_confirms(session, release, withdraw):
    """The decision: `confirmed` is written if it still may be. Whether there was a switch of this run to confirm."""
    with switch_held(session.root) as switch:
        if not switch.of(session.run) or switch.state == 'none':
            return False
        if switch.state in ('confirmed', 'finished'):
            return True
        if switch.state != 'armed' or switch.is_over or switch.armed['release'] != release:
            raise taken_back(switch)
        switch.append(**{'is': 'confirmed', 'release': release, 'withdraw': withdraw, 'at': now()})
        return True


def finish_confirmed(session):
    """What the decision means: the records of the releases, and nothing that still watches."""
    with switch_held(session.root) as switch:
        said = switch.named('confirmed')
        if switch.state != 'confirmed':
            return
    record_confirmed(session, said['release'], said['withdraw'])
    with switch_held(session.root) as switch:
        if switch.state == 'confirmed':
            switch.append(**{'is': 'finished', 'at': now()})
    disarm(session)


def switch_outcome(session, args):
    """
    What came of this run's switch, read from the disk. Another run's has replaced it only once it was over; then the
    record of the release tells.
    """
    switch = Switch(session.root)
    if switch.of(session.run):
        return switch.outcome()
    confirmed = any(one.get('confirmedIn') == session.run for one in records(session))
    return {'state': 'confirmed' if confirmed else 'none', 'why': '', 'change': None, 'failure': None}


def switch_take_back(session, args):
    """Puts back what this run's switch changed, unless it is confirmed, or put back already; says which."""
    with switch_held(session.root) as switch:
        mine = switch.of(session.run) and switch.is_open
        if mine and switch.state == 'armed':
            switch.append(**{'is': 'taking-back', 'why': str(args.get('why') or 'the client asked for it')[:400], 'at': now()})
    if mine and switch.state == 'confirmed':
        finish_confirmed(session)
    elif mine:
        put_back(session)
    return switch_outcome(session, args)


def put_back(session, holder=None):
    """
    Puts back every change of the switch, the latest first, and stops at one that fails: what was done before counts
    on it. Under the lock, which its holder loses if it is this switch's own, silent agent. True when all is back.
    """
    locked = 'deploy' not in session.locks
    if locked:
        take_deploy_lock(session, holder)
    session.undoing = True
    try:
        sweep_commands(session.root)
        unlink(session.root.at('state', 'ballast'))
        while True:
            with switch_held(session.root) as switch:
                change = next(iter(switch.pending()), None)
                if not switch.is_open:
                    return True
                if change is None:
                    switch.append(**{'is': 'taken-back', 'at': now()})
                    break
            failure = put_back_one(session, change)
            with switch_held(session.root) as switch:
                if failure is not None:
                    switch.append(**{'is': 'stuck', 'id': change['id'], 'failure': failure, 'at': now()})
                    return False
                switch.append(**{'is': 'undone', 'id': change['id']})
        disarm(session)
        return True
    finally:
        session.undoing = False
        if locked:
            unlock(session, {'name': 'deploy'})


def put_back_one(session, change):
    """Performs the steps that put one change back; the failure of the first that fails, or None."""
    asked = session.message
    try:
        for step in change['undo']:
            session.message = Message({'op': step['op'], 'args': step.get('args')})
            operation = OPERATIONS[step['op']]
            try:
                operation.act(session, session.message.args)
                failure = None
            except Exception as error:  # every failure is an answer, also a defect
                failure = failure_of(error, session, step['op'])
            journal(session, operation, session.message, failure)
            if failure is not None:
                return failure
    finally:
        session.message = asked
    return None


def take_deploy_lock(session, holder):
    """The lock, from whoever holds it: `holder`, this switch's silent agent, is ended; anybody else is waited for."""
    deadline = time.monotonic() + HOLDER_GONE_S
    while True:
        try:
            return lock(session, {'name': 'deploy', 'client': KEEPER, 'switch': False})
        except Failed as error:
            if error.failure['reason'] != 'lock-held' or time.monotonic() >= deadline:
                raise
        if holder is not None:
            end_processes(lambda: {holder['pid']} if alive(holder) else set(), HOLDER_TERM_S, time.sleep)
        time.sleep(POLL_S)


def lock_holder(root):
    """The agent that holds the lock now, as it wrote itself down; None when nobody does."""
    try:
        fd = os.open(root.at('state', 'lock-deploy'), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if try_lock(fd, fcntl.LOCK_SH):
            return None
        found = json.loads(holder_text(fd) or 'null')
    except ValueError:
        return None
    finally:
        os.close(fd)
    return found if isinstance(found, dict) and found.get('started') and found.get('pid') != os.getpid() else None


def settle_switch(session):
    """
    Whoever takes the lock first sees to a switch that was left: armed by another client that may still come, it
    counts as the lock held; otherwise it is finished or put back before anything else is done.
    """
    with switch_held(session.root) as switch:
        if not switch.is_open:
            unlink(session.root.at('state', 'ballast'))  # the board went down while a switch was being armed
            return
        state = switch.state
        if state == 'armed' and not switch.is_over:
            if switch.of(session.run):
                session.lease_s = switch.armed['leaseS']
                return
            raise Failed('lock-held', name='deploy', holder=json.dumps(armed_holder(switch)))
        if state == 'armed':
            switch.append(**{'is': 'taking-back', 'why': over_words(switch), 'at': now()})
    if state == 'confirmed':
        return finish_confirmed(session)
    if not put_back(session):
        stuck = Switch(session.root).named('stuck')
        raise refused('switch-stuck', 'an earlier switch cannot be put back: %s' % json.dumps(stuck['failure']))


def over_words(switch):
    """Why a switch that was not confirmed is put back, and what cannot be."""
    damaged = '; %d records of it are damaged, and what they say is not put back' % switch.damaged if switch.damaged else ''
    return because_words(switch) + damaged


def because_words(switch):
    """Why a switch that was not confirmed is put back."""
    if switch.armed['boot'] != BOOT:
        return 'the device booted before it was confirmed'
    if 0 < switch.lease - boot_clock() <= switch.armed['leaseS']:
        return 'the device boots'
    return 'nothing was heard of the client for %g s' % switch.armed['leaseS']


def armed_holder(switch):
    """An armed switch as a lock's holder: until when, unless its client is heard of."""
    return {'run': switch.armed['run'], 'client': switch.armed['client'], 'since': switch.armed['at'], 'deadline': deadline_of(switch)}


def deadline_of(switch):
    """The moment at which an armed switch is put back if nothing is heard until then, in ISO time; or None."""
    if switch.state != 'armed':
        return None
    left = max(switch.lease - boot_clock(), 0) if switch.armed['boot'] == BOOT else 0
    moment = datetime.datetime.fromtimestamp(time.time() + left, datetime.timezone.utc)
    return moment.isoformat(timespec='milliseconds').replace('+00:00', 'Z')


def switch_lock(session):
    """An armed switch counts as the lock held."""
    switch = Switch(session.root)
    held = switch.state == 'armed' and not switch.is_over
    return {'holder': json.dumps(armed_holder(switch))} if held else None


def switch_status(session):
    """The last switch, for `release.status`; None when there never was one."""
    switch = Switch(session.root)
    if switch.armed is None:
        return None
    outcome = switch.outcome()
    return {
        'state': outcome['state'], 'release': switch.armed['release'], 'from': switch.armed['from'], 'run': switch.armed['run'],
        'client': switch.armed['client'], 'at': switch.armed['at'], 'deadline': deadline_of(switch), 'why': outcome['why'],
        'failure': outcome['failure'],
    }


# ---------------- the keeper: what watches while the client is away

def keep(root_path, booting):
    """
    Watches the lease of an armed switch, and puts it back when that runs out, or at once when the board is booting; ends
    when there is nothing left to do.
    """
    os.umask(0o022)
    root = Root(root_path)
    switch = Switch(root)
    if not switch.is_open:
        return 0
    session = Session(None, os.open(os.devnull, os.O_WRONLY), dict(switch.armed['header'], client=KEEPER), root)
    session.message = Message({'op': 'keep'})
    session.booting = booting
    own = process(os.getpid())
    with switch_held(root) as switch:
        if switch.state == 'armed' and not booting and not switch.is_over and not (switch.named('watched') or {}).get('timer'):
            switch.append(**{'is': 'watched', 'pid': os.getpid(), 'started': own.started if own else ''})
    tries = 0
    while tries < STUCK_TRIES:
        holder = None
        with switch_held(root) as switch:
            if not switch.is_open:
                return 0
            if switch.is_over or (booting and switch.state == 'armed'):
                holder = lock_holder(root)
                switch.append(**{'is': 'taking-back', 'why': over_words(switch), 'at': now()})
            state = switch.state
        if state == 'armed':
            time.sleep(min(KEEPER_POLL_S, max(switch.lease - boot_clock(), 0.001)))
        elif state == 'confirmed':
            # Its client writes the records; a keeper does so only for one that died between the two.
            time.sleep(KEEPER_POLL_S)
            if lock_holder(root) is None:
                finish_confirmed(session)
        elif put_back_quietly(session, holder):
            return 0
        else:
            tries += 1
            time.sleep(STUCK_REST_S)
    return 1


def put_back_quietly(session, holder):
    """One attempt; what went wrong stands in the switch's journal, and in the keeper's own log."""
    try:
        return put_back(session, holder)
    except Exception as error:
        print('%s %s' % (now(), failure_of(error, session, 'keep')), file=sys.stderr, flush=True)
        return False
