# ---------------- exec and shell

EXEC_S = 30 * 24 * 3600.0


def release_exec(session, args):
    """A command of a person's own, in the current release, with the environment of its services."""
    argv = args.get('argv')
    if not isinstance(argv, list) or not argv or not all(isinstance(part, str) and '\0' not in part for part in argv):
        raise refused('bad-request', 'argv must be a list of texts')
    release, environment = in_current(session, args.get('service'))
    command = [sys.executable] + argv[1:] if argv[0] == 'python3' else argv
    session.supervisor.execute(command, tree_of(session, release), environment, EXEC_S, False, (0,))


def in_current(session, service):
    """`(release, environment)` for somebody who works in the current release."""
    release = current_release(session)
    if release is None:
        raise refused('no-such-release', 'there is no current release yet')
    manifest = manifest_of(session, release)
    declared = filler(session, release, manifest).environment(shared_environment(session, manifest, service))
    return release, dict(basic_environment(), RELEASE_ID=release, **declared)


def shared_environment(session, manifest, name):
    """The declared variables of one service, or of all: those on which services differ are left out, and told."""
    services = services_of(manifest)
    if name is not None:
        service = service_named(manifest, name)
        if service is None:
            raise refused('no-such-service', 'no service %s in the current release; there are: %s' % (name, ', '.join(one['name'] for one in services) or 'none'))
        return service.get('env') or {}
    found, differing = {}, set()
    for variable, value in (pair for service in services for pair in (service.get('env') or {}).items()):
        if found.setdefault(variable, value) != value:
            differing.add(variable)
    if differing:
        session.output('stderr', 'services differ on %s, so it is not set; --service NAME says whose is meant\n' % ', '.join(sorted(differing)))
    return {variable: value for variable, value in found.items() if variable not in differing}


def shell_begin(session, args):
    """Somebody begins to work by hand: where, and with which environment; the journal has it."""
    release, environment = in_current(session, args.get('service'))
    return {'release': release, 'cwd': tree_of(session, release), 'env': environment}


def shell_end(session, args):
    """And is done; the journal has that, too."""
