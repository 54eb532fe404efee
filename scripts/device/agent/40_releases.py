# ---------------- releases

def record_path(session, release):
    """Where a release's record lies."""
    return session.root.at('state', 'releases', release + '.json')


def read_record(session, release):
    """A release's record, or None."""
    return read_json(record_path(session, release))


def write_record(session, record, manifest=None):
    """Records a release's state, with the moment of the change; a manifest that is at hand as text stays as it is."""
    session.root.folder('state', 'releases')
    text = json.dumps(dict(record, at=now())).encode()
    if manifest is not None:
        text = b'%s, "manifest": %s}' % (text[:-1], manifest)
    write_durably(record_path(session, record['id']), text + b'\n')


def records(session):
    """All records, the oldest change first."""
    names = (name for name in names_in(session.root.at('state', 'releases')) if RELEASE_ID.match(name[:-5]) and name.endswith('.json'))
    found = (read_record(session, name[:-5]) for name in names)
    return sorted((one for one in found if one is not None), key=lambda one: (one['at'], one['id']))


def tree_of(session, release):
    """A release's folder."""
    return session.root.at('releases', release)


def manifest_of(session, release):
    """The manifest of a release that is on the device."""
    record = read_record(session, release)
    if record is None or not record.get('manifest') or not os.path.isdir(tree_of(session, release)):
        raise refused('no-such-release', 'release %s is not on this device' % release)
    return record['manifest']


def current_release(session):
    """What `current` points at, or None when it is not there."""
    path = session.root.at('current')
    if not os.path.lexists(path):
        return None
    target = os.readlink(path) if os.path.islink(path) else ''
    folder, _, release = target.rpartition('/')
    if folder != 'releases' or not RELEASE_ID.match(release):
        raise refused('current-not-a-link', 'current is no link to releases/ID%s; put it right by hand' % (': ' + target if target else ''))
    return release


def services_of(manifest):
    """The declared services, each after those that it names in `after`."""
    services = fronted(manifest['system'])
    named = {service['name']: service for service in services}
    ordered = []

    def visit(service, path):
        if service['name'] in path or service in ordered:
            return
        for name in service.get('after') or []:
            if name in named:
                visit(named[name], path + [service['name']])
        ordered.append(service)

    for service in services:
        visit(service, [])
    return ordered


def release_status(session, args):
    """What is on the device and what runs."""
    current = current_release(session)
    all_records = records(session)
    by_id = {record['id']: record for record in all_records}
    record = by_id.get(current)
    manifest = record.get('manifest') if record else None
    table = session.supervisor.table()
    states = service_states(session, manifest, table)
    return {
        'current': current,
        'state': record['state'] if record else None,
        'base': last_confirmed(session, [record] if record else []) or last_confirmed(session, all_records),
        'previous': last_confirmed(session, [one for one in all_records if one['id'] != current and not one.get('withdrawn')]),
        'intact': is_intact(session, record, table),
        'running': running_order(manifest, [one['name'] for one in states if table.members(one['name'])]),
        'releases': [{'id': one['id'], 'state': one['state'], 'at': one['at']} for one in all_records],
        'services': states,
        'lock': lock_state(session, 'deploy') or switch_lock(session),
        'switch': switch_status(session),
    }


def last_confirmed(session, among):
    """The last confirmed release whose tree is there."""
    there = [one for one in among if one['state'] == 'confirmed' and os.path.isdir(tree_of(session, one['id']))]
    return max(there, key=lambda one: one['order'])['id'] if there else None


def is_intact(session, record, table):
    """Whether the current release is confirmed, whole, and everything that it declares runs and answers."""
    if record is None or record['state'] != 'confirmed' or not os.path.isdir(tree_of(session, record['id'])):
        return False
    if tree_digest(tree_of(session, record['id'])) != record.get('tree'):
        return False
    if not at_public_port(session, record['manifest'], table):
        return False
    return not health_problems(session, record['id'], record['manifest'], table)


def at_public_port(session, manifest, table):
    """Whether what is shown to the world is where the client wants it now."""
    names = [one['name'] for one in services_of(manifest) if one.get('listens') == 'public']
    ports = [table.records[name]['port'] for name in names if name in table.records]
    return session.public_port is None or all(port == session.public_port for port in ports)


def service_states(session, manifest, table):
    """Each declared service, and whatever else bears this root's mark or left a record."""
    services = services_of(manifest) if manifest else []
    names = [service['name'] for service in services]
    public = {service['name'] for service in services if service.get('listens') == 'public'}
    states = []
    for name in names + sorted(table.names() - set(names)):
        record, members = table.records.get(name), sorted(table.members(name))
        state = 'running' if table.runs(name) or (members and not record) else 'failed' if record else 'stopped'
        pid = table.pid(name)
        release = record['release'] if record else table.marked_release(members)
        port = record['port'] if record else None
        states.append({'name': name, 'state': state, 'release': release, 'pid': pid, 'port': port, 'public': name in public})
    return states


def running_order(manifest, names):
    """The order in which to stop: what the current release does not know first, then against the start order."""
    order = [service['name'] for service in services_of(manifest)] if manifest else []
    strangers = [name for name in names if name not in order]
    return strangers + [name for name in reversed(order) if name in names]


def release_known(session, args):
    """Whether a release is there and was confirmed once, and what it runs, in the order in which to start it."""
    release = release_arg(args)
    record = read_record(session, release)
    present = record is not None and record['state'] != 'failed' and os.path.isdir(tree_of(session, release))
    services = [service['name'] for service in services_of(record['manifest'])] if present else []
    return {'present': present, 'confirmed': record is not None and record['state'] == 'confirmed', 'services': services}


def secrets_same(session, args):
    """Whether the secrets file holds exactly this."""
    try:
        with open(session.root.at('shared', 'secrets.env'), 'rb') as file:
            return {'same': hmac.compare_digest(file.read(), text_arg(args, 'content').encode('utf-8', 'surrogatepass'))}
    except FileNotFoundError:
        return {'same': False}


def release_confirm(session, args):
    """
    Compare-and-set: staged becomes confirmed while `current` is this release. `withdraw` is not gone back to again; it
    is marked first, so that a confirmation that stands has it marked.
    """
    release = release_arg(args)
    if current_release(session) != release:
        raise refused('not-current', 'current is %s, not %s' % (current_release(session), release))
    record = read_record(session, release)
    if record is None or record['state'] == 'failed':
        raise refused('no-such-release', 'release %s has no record that could be confirmed' % release)
    withdraw = release_arg(args, 'withdraw') if args.get('withdraw') not in (None, release) else None
    if switch_confirms(session, release, withdraw):
        finish_confirmed(session)
    else:
        record_confirmed(session, release, withdraw)


def record_confirmed(session, release, withdraw):
    """The confirmed release's record, and the mark on the one that is left; called again, it changes nothing."""
    record = read_record(session, release)
    if record.get('confirmedIn') == session.run and record['state'] == 'confirmed':
        return
    left = read_record(session, withdraw) if withdraw is not None else None
    if left is not None and not left.get('withdrawn'):
        write_record(session, dict(left, withdrawn=session.run))
    order = 1 + max([one.get('order') or 0 for one in records(session)] or [0])
    before = {key: record.get(key) for key in ('state', 'order', 'withdrawn')}
    write_record(session, dict(record, state='confirmed', order=order, withdrawn=None, before=before, confirmedIn=session.run))


def release_unconfirm(session, args):
    """Takes back exactly this run's confirmation, and its mark on the release it left; what another run did stays."""
    release = release_arg(args)
    for left in records(session):
        if left.get('withdrawn') == session.run:
            write_record(session, dict(left, withdrawn=None))
    record = read_record(session, release)
    if record is None or record['state'] != 'confirmed' or record.get('confirmedIn') != session.run:
        return
    before = record.pop('before')
    del record['confirmedIn']
    write_record(session, dict(record, **before))


def release_discard(session, args):
    """Takes an unconfirmed release's tree away and records it as failed."""
    release = release_arg(args)
    record = read_record(session, release)
    if (record and record.get('order')) or current_release(session) == release:
        return
    if release in running_releases(session):
        raise refused('still-running', 'a service runs from release %s' % release)
    # The tree goes before the record is written: on a full disk that is what makes room for the record.
    for name in names_in(session.root.at('incoming')):
        if name.startswith(release + '.'):
            remove_tree(session.root.at('incoming', name))
    drop_release(session, release)
    if record is not None and record['state'] != 'failed':
        # Without the manifest: failed records are kept for `status` alone, which must stay fast.
        write_record(session, {'id': release, 'state': 'failed', 'manifest': None})


def drop_release(session, release):
    """A tree goes whole out of `releases/` before it is taken apart; its bytecode cache goes with it."""
    if os.path.lexists(tree_of(session, release)):
        away = os.path.join(session.root.folder('incoming'), '%s.dropped.%s' % (release, session.run))
        remove_tree(away)
        os.rename(tree_of(session, release), away)
        sync_folder(session.root.at('releases'))
        remove_tree(away)
    cache = session.root.at('cache') + tree_of(session, release)
    if os.path.realpath(cache) == cache:  # services write there: they must not lead elsewhere
        remove_tree(cache)


def running_releases(session):
    """Releases that a process still runs from."""
    return {one['release'] for one in service_states(session, None, session.supervisor.table()) if one['pid'] is not None}


def release_collect(session, args):
    """Removes what nothing refers to any more."""
    kept = kept_releases(session, max(int(args.get('keep') or 0), 0))
    removed = [name for name in names_in(session.root.at('releases')) if RELEASE_ID.match(name) and name not in kept]
    for release in removed:
        session.check()
        drop_release(session, release)
    collect_records(session, kept)
    for folder in ('incoming', 'blobs'):
        remove_tree(session.root.at(folder))
    collect_saves(session)
    collect_copies(session)
    session.supervisor.collect()
    return {'removed': removed}


def kept_releases(session, keep):
    """`current`, the latest confirmed others (withdrawn ones last), pinned ones, and whatever a service runs from."""
    current = current_release(session)
    all_records = records(session)
    confirmed = [one for one in all_records if one['state'] == 'confirmed' and one['id'] != current]
    confirmed.sort(key=lambda one: (not one.get('withdrawn'), one['order']), reverse=True)
    latest = {one['id'] for one in confirmed[:keep]}
    return latest | {one['id'] for one in all_records if one.get('pinned')} | running_releases(session) | {current}


def collect_records(session, kept):
    """Records go with their trees; of failed ones the latest stay, for `status`."""
    gone = [one for one in records(session) if one['id'] not in kept]
    failed = [one for one in gone if one['state'] == 'failed'][-KEPT_FAILED_RECORDS:]
    for record in gone:
        if record not in failed:
            unlink(record_path(session, record['id']))


def by_age(folder, names):
    """Names in a folder, the newest first."""
    return sorted(names, key=lambda name: (os.lstat(os.path.join(folder, name)).st_mtime_ns, name), reverse=True)


def collect_saves(session):
    """Prior states of runs long over."""
    folder = session.root.at('state', 'saved')
    others = [name for name in names_in(folder) if name != session.run]
    for name in by_age(folder, others)[KEPT_SAVES - 1:]:
        remove_tree(os.path.join(folder, name))


def collect_copies(session):
    """Copies of the database, and databases moved aside, beyond the latest of each, and copies that were cut off."""
    folder = session.root.at('copies')
    for name in names_in(folder):
        whole = name.startswith('aside-') or os.path.exists(os.path.join(folder, name[:-len('.sqlite3')] + '.json'))
        if name.startswith('.slipway-') or (name.endswith('.sqlite3') and not whole):
            unlink(os.path.join(folder, name))
    bases = [name for name in names_in(folder) if name.endswith('.sqlite3')]
    for aside in (False, True):
        some = [name for name in bases if name.startswith('aside-') is aside]
        for name in by_age(folder, some)[KEPT_COPIES:]:
            for path in (name, name[:-len('.sqlite3')] + '.json') + tuple(name + suffix for suffix in DATABASE_SUFFIXES):
                unlink(os.path.join(folder, path))
