# ---------------- the journal, read again

MAX_TOLD_LINES = 20000


def device_journal(session, args):
    """
    The last `lines` of the journal on `output`, one after the other. A line that is no record does not hide the rest:
    `damaged` counts those, and `cutShort` says that the last one never ended.
    """
    wanted = min(max(int(args.get('lines') or MAX_TOLD_LINES), 0), MAX_TOLD_LINES)
    kept = collections.deque(maxlen=wanted)
    seen, damaged, cut_short = 0, 0, False
    path = session.root.at('state', 'journal.jsonl')
    for one in (path + '.1', path):
        for raw in journal_lines(one):
            session.check()
            sound = is_record(raw)
            if sound:
                seen += 1
                kept.append(raw.rstrip(b'\n'))
            elif raw.endswith(b'\n'):
                damaged += 1
            else:
                cut_short = True
    for raw in kept:
        text = raw.decode('utf-8', 'replace') + '\n'
        for begin in range(0, len(text), MAX_OUTPUT_READ_BYTES):
            session.output('stdout', text[begin:begin + MAX_OUTPUT_READ_BYTES])
    return {'lines': len(kept), 'older': seen - len(kept), 'damaged': damaged, 'cutShort': cut_short}


def journal_lines(path):
    """The lines of one journal file, each with its end."""
    try:
        with open(path, 'rb') as file:
            yield from file
    except FileNotFoundError:
        return


def is_record(raw):
    """Whether a line is what the journal writes."""
    try:
        found = json.loads(raw)
    except ValueError:
        return False
    return isinstance(found, dict) and all(isinstance(found.get(key), str) for key in ('at', 'run', 'op'))
