# ---------------- entry

def claim_output():
    """The protocol's own descriptor; a stray print of anybody's goes nowhere instead of between two messages."""
    out = os.dup(1)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    return out


def hear_signals(session):
    """TERM, INT and HUP end the session. The handler only writes a byte: it may run inside any lock."""
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    for number in SIGNALS:
        signal.signal(number, lambda got, _: os.write(tell, bytes([got])))

    def wait():
        got = os.read(told, 1)[0]
        session.exit_status = 128 + got
        session.end(signal.Signals(got).name)

    threading.Thread(target=wait, daemon=True).start()


def hello(root):
    """What the client needs to know first."""
    here = os.uname()
    return {'hello': {'python': sys.version.split()[0], 'architecture': here.machine, 'system': here.sysname, 'root': root.path}}


def check_header(header):
    """The run's name becomes a folder's name."""
    if not isinstance(header.get('run'), str) or not PLAIN_NAME.match(header['run']):
        raise refused('bad-request', 'run must be a plain name of at most 80 characters')
    if header.get('supervisor') not in (None, 'plain', 'systemd'):
        raise refused('bad-request', 'supervisor must be plain or systemd')
    port = header.get('publicPort')
    if port is not None and not (isinstance(port, int) and 0 < port < 65536):
        raise refused('bad-request', 'publicPort must be a port or null')


def main(stream, header, path):
    """One session: from the hello to the end of standard input or a signal."""
    os.umask(0o022)
    out = claim_output()
    try:
        check_header(header)
        root = Root(path)
        session = Session(stream, out, header, root)
        sweep_commands(root)
    except Failed as error:
        write_all(out, json.dumps({'hello': {'failure': error.failure}}).encode() + b'\n')
        os._exit(3)
    hear_signals(session)
    session.send(hello(root))
    threading.Thread(target=session.listen, daemon=True).start()
    if session.silence_s is not None:
        threading.Thread(target=session.watch_silence, daemon=True).start()
    while session.ending is None:
        message = session.messages.get()
        if message is not None and session.ending is None:
            perform(session, message)
    # Not through the interpreter's own end: the reader thread sits in a read that only the client can end.
    os._exit(session.exit_status)


if __name__ == '__main__':
    main(STREAM, HEADER, ROOT)  # noqa: F821  the bootstrap's globals
if __name__ == 'keeper':
    sys.exit(keep(ROOT, sys.argv[4:] == [BOOT_SERVICE]))  # noqa: F821  the loader's global
