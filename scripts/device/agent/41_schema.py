# ---------------- schema

SCHEMA_S = 60.0
MAX_ASKED_RELEASES = 5
MAX_SCHEMA_DETAIL_CHARS = 400


def release_accepts(session, args):
    """
    Whether a release's code can run on the schema that the database has now, as its own command says, and otherwise
    what would help. `migrates`: its migrations are applied first, so those that are missing are no objection.
    """
    release = release_arg(args)
    manifest = manifest_of(session, release)
    accepts, detail, answer = judge_schema(session, release, manifest, args.get('migrates') is True)
    return {'accepts': accepts, 'detail': detail, 'help': '' if accepts else schema_help(session, release, answer)}


def judge_schema(session, release, manifest, migrates):
    """`(accepts, detail, answer)`; without a database or a command to ask, nothing stands against it."""
    database = manifest['system'].get('database') or {}
    if not database.get('accepts'):
        return True, 'release %s declares nothing that could tell' % release, {}
    if not os.path.exists(database_path(session, manifest)):
        return True, 'there is no database yet', {}
    answer, problem = declared_answer(session, release, manifest, database['accepts'], database.get('env'), SCHEMA_S)
    if answer is None or not isinstance(answer.get('accepts'), bool):
        return False, problem or 'it gave no answer', {}
    if not answer['accepts']:
        return False, detail_of(answer, 'against', 'the schema has gone on'), answer
    if answer.get('missing') and not migrates:
        return False, 'the database lacks %s' % words_of(answer['missing']), answer
    return True, detail_of(answer, None, ''), answer


def detail_of(answer, names, otherwise):
    """What it says itself, otherwise what it names."""
    said = answer.get('detail')
    if isinstance(said, str) and said:
        return said[:MAX_SCHEMA_DETAIL_CHARS]
    return words_of(answer.get(names)) or otherwise


def words_of(what):
    """A list of names as one text."""
    return ', '.join(str(one) for one in what)[:MAX_SCHEMA_DETAIL_CHARS] if isinstance(what, list) else ''


def schema_help(session, release, answer):
    """What would help: releases on this device that can run on it, or what must come."""
    if answer.get('accepts') is True:
        return 'a deploy of it applies what is missing'
    others = accepting_others(session, release)
    if others:
        return 'releases here that can: %s' % ', '.join(others)
    names = words_of(answer.get('against')) or words_of(answer.get('unknown'))
    return 'no other confirmed release here can; deploy one that %s' % ('knows %s' % names if names else 'can')


def accepting_others(session, release):
    """The latest confirmed releases that can run on the schema as it is, the newest first."""
    there = [one for one in records(session) if one['state'] == 'confirmed' and os.path.isdir(tree_of(session, one['id']))]
    there.sort(key=lambda one: one['order'], reverse=True)
    others = [one for one in there if one['id'] != release][:MAX_ASKED_RELEASES]
    return [one['id'] for one in others if judge_schema(session, one['id'], one['manifest'], False)[0]]
