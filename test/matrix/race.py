"""
A confirmation races the deadline: run with the agent's source, a folder, a seed and how many times. Each time one process
confirms around the moment at which the lease ends, another is the keeper, and what both left is one line of JSON.
"""
import json
import os
import random
import sys
import traceback

source, folder, seed, times = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
with open(source, 'rb') as file:
    agent = {'__name__': 'race', 'HEADER': {}, 'SOURCE': b''}
    exec(compile(file.read(), 'agent', 'exec'), agent)

SIDE_BY_SIDE = 8
LEASE_S = 0.1
AROUND_S = 0.05
CLOSE_S = 0.002
OLD, NEW = '0' * 16, '1' * 16
agent['BALLAST_BYTES'] = 4096


def session_of(root, run):
    """A session without a connection."""
    session = agent['Session'](None, os.open(os.devnull, os.O_WRONLY), {'run': run, 'client': 'race'}, root)
    session.message = agent['Message']({'op': 'race'})
    return session


def lay(path):
    """A device in the middle of a switch: the new release is current, and the file `marker` tells when it is put back."""
    root = agent['Root'](path)
    session = session_of(root, 'run')
    for release in (OLD, NEW):
        os.makedirs(root.at('releases', release))
        agent['write_record'](session, {'id': release, 'state': 'staged', 'manifest': None})
    os.symlink('releases/' + NEW, root.at('current'))
    header = {'run': 'run', 'client': 'race'}
    with agent['switch_held'](root) as switch:
        switch.begin(LEASE_S, **{
            'is': 'armed', 'run': 'run', 'client': 'race', 'release': NEW, 'from': OLD, 'leaseS': LEASE_S, 'boot': agent['BOOT'],
            'at': agent['now'](), 'header': header, 'errors': {}})
        back = {'op': 'link', 'args': {'path': 'current', 'target': 'releases/' + OLD, 'step': 'race'}}
        switch.append(**{'is': 'change', 'id': 'current', 'undone': 'always', 'undo': [back]})
        lease = agent['struct'].unpack('<d', open(switch.path, 'rb').read(8))[0]
    return root, session, lease


def confirm(root, session, moment):
    """Confirms at a moment; what the client is told."""
    agent['time'].sleep(max(moment - CLOSE_S - agent['boot_clock'](), 0))
    while agent['boot_clock']() < moment:
        pass
    try:
        agent['release_confirm'](session, {'release': NEW})
        return 'confirmed'
    except agent['Failed'] as failed:
        return failed.failure.get('code') or failed.failure['reason']


def race(number, offset_s):
    """One race, in a process of its own with a keeper beside it."""
    root, session, lease = lay(os.path.join(folder, str(number)))
    keeper = os.fork()
    if keeper == 0:
        os._exit(agent['keep'](root.path, False))
    told = confirm(root, session, lease + offset_s)
    kept = os.waitpid(keeper, 0)[1]
    switch = agent['Switch'](root)
    return {
        'offsetMs': offset_s * 1000, 'told': told, 'keeper': kept,
        'kinds': [one['is'] for one in switch.records if one['is'] in ('confirmed', 'taking-back', 'stuck', 'taken-back', 'finished')],
        'current': os.path.basename(os.readlink(root.at('current'))),
        'state': agent['read_record'](session, NEW)['state'],
    }


def racer(number, offset_s):
    """The process of one race; what came of it goes to a file."""
    try:
        found = race(number, offset_s)
    except BaseException:
        found = {'told': traceback.format_exc()}
    with open(os.path.join(folder, '%d.json' % number), 'w') as file:
        json.dump(found, file)
    os._exit(0)


chance = random.Random(seed)
under_way = set()
for number in range(times):
    # Every other one where it is closest.
    offset_s = chance.uniform(-AROUND_S, AROUND_S) / (1 if number % 2 else 20)
    if len(under_way) == SIDE_BY_SIDE:
        under_way.discard(os.wait()[0])
    pid = os.fork()
    if pid == 0:
        racer(number, offset_s)
    under_way.add(pid)
for pid in under_way:
    os.waitpid(pid, 0)
for number in range(times):
    with open(os.path.join(folder, '%d.json' % number)) as file:
        print(file.read())
