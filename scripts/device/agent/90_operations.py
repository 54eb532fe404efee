# ---------------- the table

Operation = collections.namedtuple('Operation', 'act changes claims told durable', defaults=(True,))


def as_given(args):
    """Arguments for the journal, where they hold nothing secret or long."""
    return args


def told_write(args):
    """Contents may be secret: their digest tells whether they are the same."""
    content = args.get('content')
    digest = hashlib.sha256(content.encode('utf-8', 'surrogatepass')).hexdigest() if isinstance(content, str) else None
    return dict({key: value for key, value in args.items() if key != 'content'}, contentSha256=digest)


def told_run(args):
    """Values of the environment may be secret: their names alone."""
    return dict(args, env=sorted(args.get('env') or {}))


def told_exec(args):
    """A command of a person's own as the client told it, secrets masked."""
    return {'argv': args.get('told') or args.get('argv'), 'service': args.get('service')}


def told_put(args):
    """Blobs by number and size."""
    blobs = args.get('blobs') if isinstance(args.get('blobs'), list) else []
    sizes = [pair[1] for pair in blobs if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[1], int)]
    return {'blobs': len(blobs), 'bytes': sum(sizes)}


def told_stage(args):
    """The release's id stands for its manifest."""
    return {'release': args.get('release')}


def reads(act):
    """An operation that changes nothing and is not journaled."""
    return Operation(act, False, False, as_given)


def changes(act, told=as_given):
    """An operation that may change something: one line in the journal."""
    return Operation(act, True, False, told)


def claims(act, told=as_given):
    """One whose change an earlier run must not put back over: it supersedes the runs that began before."""
    return Operation(act, True, True, told)


def rides_along(act, told=as_given):
    """One whose effect a power cut may take, and its line in the journal with it: the next line's fsync covers both."""
    return Operation(act, True, False, told, durable=False)


OPERATIONS = {
    'device.facts': reads(device_facts),
    'device.room': reads(device_room),
    'device.clock': reads(device_clock),
    'device.preflight': reads(device_preflight),
    'device.vitals': reads(device_vitals),
    'device.journal': reads(device_journal),
    'write': claims(write, told_write),
    'link': claims(link),
    'remove': claims(remove),
    'restore': changes(restore),
    'read': reads(read),
    'run.undoable': reads(run_undoable),
    'run': changes(run, told_run),
    'upload.begin': rides_along(upload_begin),
    'upload.put': rides_along(upload_put, told_put),
    'upload.stage': changes(upload_stage, told_stage),
    'service.start': changes(service_start),
    'service.stop': changes(service_stop),
    'service.names': reads(service_names),
    'service.logs': reads(service_logs),
    'stop-all': changes(stop_all),
    'release.pause': changes(release_pause),
    'release.resume': changes(release_resume),
    'release.safe-to-stop': reads(safe_to_stop),
    'release.health': reads(release_health),
    'release.gate': reads(release_gate),
    'release.status': reads(release_status),
    'release.known': reads(release_known),
    'release.accepts': reads(release_accepts),
    'release.confirm': claims(release_confirm),
    'release.unconfirm': changes(release_unconfirm),
    'release.discard': changes(release_discard),
    'release.collect': changes(release_collect),
    'release.exec': changes(release_exec, told_exec),
    'shell.begin': changes(shell_begin),
    'shell.end': changes(shell_end),
    'secrets.same': reads(secrets_same),
    'data.copy': changes(copy_data),
    'data.drop-copy': changes(drop_copy),
    'data.migrate': claims(migrate),
    'data.restore': changes(restore_data),
    'switch.arm': changes(switch_arm),
    'switch.outcome': reads(switch_outcome),
    # It takes no turn: a run that another built upon may still ask. What it puts back is journaled step by step.
    'switch.take-back': Operation(switch_take_back, False, False, as_given),
    'units.diff': reads(units_diff),
    'uninstall': changes(uninstall),
    'lock': reads(lock),
    'unlock': reads(unlock),
}
