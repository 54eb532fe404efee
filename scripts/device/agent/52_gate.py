# ---------------- the gate

MAX_COUNTED_LOG_BYTES = 4 * MIB
SMOKE_S = 60.0


def release_gate(session, args):
    """
    Judges a release where it runs: every service answers as it, several times in a row; its logs show no more errors
    than those of the release before; the system's own smoke test passes.
    """
    release = release_arg(args)
    manifest = manifest_of(session, release)
    times, every_s = max(int(args.get('times') or 1), 1), (args.get('everyMs') or 500) / 1000
    deadline = time.monotonic() + (args.get('withinMs') or 60_000) / 1000
    names = [service['name'] for service in services_of(manifest)]
    well = '%s %s as %s' % (', '.join(names) or 'nothing', 'answers' if len(names) < 2 else 'answer', release)
    held, last = 0, None
    while held < times:
        table = session.supervisor.table()
        refuse_ended(session, release, manifest, table)
        problems = health_problems(session, release, manifest, table)
        held = 0 if problems else held + 1
        detail = '; '.join(problems) or well
        if detail != last:
            session.output('stdout', detail + '\n')
        last = detail
        if held < times:
            if time.monotonic() >= deadline:
                raise refused('unhealthy', detail)
            session.rest(every_s)
    refuse_errors(session, release, manifest)
    smoke(session, release, manifest)
    return {'detail': last}


def error_rates(session, release):
    """Errors a second in the log of each running service of a release that declares what an error looks like."""
    record = read_record(session, release) if release else None
    if record is None or not record.get('manifest'):
        return {}
    found = {service['name']: counted_errors(session, release, service) for service in services_of(record['manifest'])}
    return {name: count / max(seconds, 1.0) for name, (count, seconds) in found.items() if count is not None}


def counted_errors(session, release, service):
    """`(errors, seconds)` since it started; `(None, 0)` where nothing says what an error is, or it does not run."""
    record = read_json(session.root.at('run', service['name'] + '.json')) if service.get('errors') else None
    if record is None or record.get('release') != release or not record.get('since'):
        return None, 0
    pattern = re.compile(service['errors'])
    lines = session.supervisor.lines_since(service['name'], record)
    return sum(1 for line in lines if pattern.search(line)), time.time() - record['since']


def refuse_errors(session, release, manifest):
    """No service may log errors faster than the release before it did."""
    switch = Switch(session.root)
    before = switch.armed['errors'] if switch.of(session.run) else {}
    for service in services_of(manifest):
        count, seconds = counted_errors(session, release, service)
        if count is not None and count > before.get(service['name'], 0) * seconds:
            raise refused('more-errors', '%s logged %d errors in %.1f s, more than the release before it' % (service['name'], count, seconds))


def smoke(session, release, manifest):
    """The system's own test of itself, run in the release; without one there is nothing to say."""
    test = manifest['system'].get('smoke')
    if test:
        run_declared(session, release, manifest, test['argv'], test.get('env'), SMOKE_S)
