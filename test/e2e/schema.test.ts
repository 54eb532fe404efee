import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { inProject, type Project } from './project.ts';

/** Brings a schema up to what it knows; a number that ends with `!` takes something away from older code. */
const SCHEMA = `
import json, os, sqlite3, sys
KNOWN = ["1"]
link = sqlite3.connect(os.path.join(sys.argv[2], "app.db"))
if sys.argv[1] == "migrate":
    link.execute("CREATE TABLE IF NOT EXISTS applied (name TEXT PRIMARY KEY)")
    link.executemany("INSERT OR IGNORE INTO applied VALUES (?)", [(one,) for one in KNOWN])
    link.commit()
else:
    has = [name for (name,) in link.execute("SELECT name FROM applied")]
    against = [one for one in has if one not in KNOWN and one.endswith("!")]
    missing = [one for one in KNOWN if one not in has]
    print(json.dumps({"accepts": not against, "against": against, "missing": missing, "detail": " ".join(against)}))
`;

const EXAMPLE = readFileSync(join(import.meta.dirname, '../../examples/hello/tasks.ts'), 'utf8');
const TASKS = EXAMPLE.replace('import { ', 'import { PATIENCE, ')
  .replace(
    '  services: [',
    "  database: { path: 'app.db', migrate: ['python3', 'schema.py', 'migrate', { path: 'data' }], accepts: ['python3', 'schema.py', 'accepts', { path: 'data' }] },\n  services: [",
  )
  .replace("{ from: 'server.py', to: 'server.py' }", (part) => `${part}, { from: 'schema.py', to: 'schema.py' }`)
  .replace("inputs: ['server.py']", "inputs: ['*.py']")
  .replace(
    'release: needs.build.release }',
    'release: needs.build.release, patience: { ...PATIENCE, healthyTimes: 1 } }',
  )
  .replace('release: params.release })', 'release: params.release, patience: { ...PATIENCE, healthyTimes: 1 } })');

/** Deploys a release that knows these steps of the schema; its id. */
async function deployed(project: Project, known: readonly string[]): Promise<string> {
  project.write('schema.py', SCHEMA.replace('["1"]', JSON.stringify(known)));
  const { status, stdout } = await project.run(['deploy']);
  expect(status, stdout).toBe(0);
  return project.current() ?? '';
}

test('a release is gone back to while the schema has only grown, and not once older code cannot run on it', () =>
  inProject({ tasks: TASKS }, async (project) => {
    const first = await deployed(project, ['1']);
    const second = await deployed(project, ['1', '2']);
    expect(await project.run(['rollback'])).toMatchObject({ status: 0 });
    expect(await project.answering()).toBe(first);

    const third = await deployed(project, ['1', '2', '3!']);
    const serving = project.serving();
    const refused = await project.run(['rollback', '--release', second]);
    expect(refused.status).toBe(3);
    expect(refused.stdout).toContain(
      `release ${second} cannot run on the database of rehearsal as it is now: 3!; releases here that can: ${third}`,
    );
    expect(refused.stdout).not.toMatch(/stop service|release\.pause/);
    expect([project.current(), project.serving()]).toEqual([third, serving]);

    // The same release, deployed again, runs on it as little.
    project.write('schema.py', SCHEMA.replace('["1"]', '["1","2"]'));
    const again = await project.run(['deploy']);
    expect(again.status).toBe(3);
    expect(again.stdout).toContain('cannot run on the database of rehearsal as it is now: 3!');
    expect(again.stdout).not.toMatch(/stop service|release\.pause/);
    expect(await project.answering()).toBe(third);
  }));
