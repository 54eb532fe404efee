"""
Run on a board past its network, with a root and seconds: waits until nothing moves there any more, and says what it has
come to as one line of JSON. It looks with the agent's own eyes where that is enough, and for itself where it matters.
"""
import json
import os
import sys
import time
import urllib.request

root_path, wait_s = sys.argv[1], float(sys.argv[2])
with open(os.path.join(root_path, 'state', 'keeper.py'), 'rb') as file:
    agent = {'__name__': 'observer'}
    exec(compile(file.read(), 'agent', 'exec'), agent)
root = agent['Root'](root_path)
switch_of = agent['Switch']


def argv_of(pid):
    """A process's command line, words apart; empty for one that is gone."""
    try:
        with open('/proc/%s/cmdline' % pid, 'rb') as file:
            return file.read().decode('utf-8', 'replace')
    except OSError:
        return ''


def processes_with(text):
    """Processes of which the command line holds a text."""
    mine = str(os.getpid())
    return [pid for pid in os.listdir('/proc') if pid.isdigit() and pid != mine and text in argv_of(pid)]


def watchers():
    """Whatever watches a lease, or is about to."""
    units = agent['UNIT_FOLDER'] and 'slipway-switch-' + root.mark
    found = ['process ' + pid for pid in processes_with(os.path.join(root_path, 'state', 'keeper.py') + '\0')]
    if os.path.isdir('/run/systemd/system'):
        facts = agent['show_units']([units + '.timer', units + '.service'])
        found += ['unit ' + name for name, fact in facts.items() if fact.get('ActiveState') in agent['LIVE_STATES']]
    return found


def session():
    """A session that only looks."""
    header = dict(switch_of(root).armed['header'], client='observer', run='observer')
    return agent['Session'](None, os.open(os.devnull, os.O_WRONLY), header, root)


def moving():
    """What has not come to rest, in words; what is cheap to look at first."""
    switch = switch_of(root)
    if switch.is_open:
        return ['the switch is ' + switch.state]
    lock = agent['lock_state'](session(), 'deploy')
    if lock:
        return ['the lock is held: ' + lock['holder']]
    return ['agent ' + pid for pid in processes_with('STREAM = io.BufferedReader')] or watchers()


def answering(port):
    """Which release answers at a port."""
    try:
        with urllib.request.urlopen('http://127.0.0.1:%d/' % port, timeout=5) as answer:
            return json.load(answer)['release']
    except Exception as error:
        return str(error)


def unreadable(name):
    """Lines of the journal that are none."""
    bad = []
    with open(root.at('state', name), 'rb') as file:
        for line in file.read().splitlines():
            try:
                json.loads(line)
            except ValueError:
                bad.append(line.decode('utf-8', 'replace'))
    return bad


def look():
    """What there is."""
    status = agent['release_status'](session(), {})
    switch = switch_of(root)
    return {
        'moving': moving(),
        'current': status['current'],
        'states': {one['id']: one['state'] for one in status['releases']},
        'intact': status['intact'],
        'services': [[one['name'], one['state'], one['release']] for one in status['services']],
        'answering': [answering(one['port']) for one in status['services'] if one['port']],
        'trees': sorted(os.listdir(root.at('releases'))),
        'run': switch.armed['run'],
        'switch': [one['is'] for one in switch.records if one['is'] not in ('change', 'done', 'undone', 'watched')],
        'why': switch.outcome()['why'],
        'failure': (switch.named('stuck') or {}).get('failure'),
        'unreadable': unreadable('journal.jsonl'),
        'ballast': os.path.exists(root.at('state', 'ballast')),
    }


deadline = time.monotonic() + wait_s
while moving() and time.monotonic() < deadline:
    time.sleep(0.1)
print(json.dumps(look()))
