import type { DeviceName } from '../model/param.ts';
import { and, equals, oneOf, prefix, without } from '../model/choice.ts';
import type { Channel } from '../model/channel.ts';
import type { Recorder } from '../model/recorder.ts';
import { Ref, text, type Value } from '../model/ref.ts';
import { startOrder, type System } from '../model/service.ts';
import { device, pack } from './device.ts';
import { preflight, type BuiltFor } from './preflight.ts';
import { toldTo } from './notify.ts';

/** How patiently a release is judged. Durations in ms. */
export interface Patience {
  /** How often in a row every service must be healthy. */
  readonly healthyTimes: number;
  readonly healthyTimeoutMs: number;
  /** How long open work may take to finish before the deploy is refused. */
  readonly quiesceTimeoutMs: number;
  /** How long the device hears nothing from here until it takes back a switch that is not confirmed. */
  readonly leaseMs: number;
}

export const PATIENCE: Patience = {
  healthyTimes: 3,
  healthyTimeoutMs: 60_000,
  quiesceTimeoutMs: 20_000,
  leaseMs: 30_000,
};

/** Between two questions of the gate, in ms. */
const HEALTHY_EVERY_MS = 200;
/** For the last answers and the smoke test, beyond the time in which a release must be healthy, in ms. */
const GATE_MARGIN_MS = 120_000;

/** Packs an allow-list (`from` in the project, `to` in the release) and wheels into `into`, with the system's declarations. */
export function packRelease(
  p: Recorder,
  spec: {
    readonly into: string;
    readonly include: readonly { readonly from: string; readonly to: string }[];
    readonly wheels?: string;
    readonly system: System;
  },
): { readonly tree: string; readonly release: Ref<string> } {
  const { release } = p.call(pack, spec);
  return { tree: spec.into, release };
}

/**
 * Takes a packed tree to a device and switches to it once it is healthy; unchanged, it does nothing.
 * What the calling task changed before is settled with it.
 */
export function deployRelease(
  p: Recorder,
  spec: {
    readonly to: DeviceName;
    readonly tree: Value<string>;
    readonly release: Value<string>;
    readonly system: System;
    readonly builtFor?: BuiltFor;
    /** Beginnings of paths in the release below which programs for other machines may lie, as data. */
    readonly foreign?: readonly string[];
    readonly patience?: Partial<Patience>;
    /** Told when it begins, and what became of it; an unchanged release is not spoken of. */
    readonly notify?: readonly Channel[];
  },
): void {
  const { to, tree, system, release } = spec;
  p.within(p.on(to).lock('deploy'), (p) => {
    const { current, base, intact, running } = p.on(to).probe(device.status);
    const secrets = p.on(to).probe(device.secretsSame, { content: secretLines(system) });
    const ship = (p: Recorder): void => {
      preflight(p, spec);
      // What is about to change outside the root is seen before it does, and is part of what an approval approves.
      if (system.supervisor === 'systemd') p.on(to).probe(device.unitsDiff, { system });
      p.change({
        touches: [p.on(to).path('releases')],
        do: (p) => p.on(to).upload({ from: tree, release }),
        undo: (p) => p.on(to).call(device.discard, { release }),
      });
      if (system.database?.accepts) fitsSchema(p, to, release, { migrates: true });
      const names = startOrder(system);
      const patience = { ...PATIENCE, ...spec.patience };
      const sw: Switch = { to, release, from: base, running, withdraw: null, patience };
      switchOver(p, sw, (p) => {
        stop(p, sw, names);
        // After the stop and before the start: on the way back the old services find the old secrets again.
        p.on(to).write('shared/secrets.env', secretLines(system), { mode: 0o600 });
        if (system.database) migrate(p, to, release);
        point(p, sw);
        for (const name of names) start(p, sw, name);
      });
      p.on(to).call(device.collect, { keep: system.keep });
    };
    const about = { system: system.name, device: to, release };
    const told = toldTo({ to: spec.notify, text: text`deploy of ${release} to ${to}`, ...about }, ship);
    p.when(and(equals(current, release), intact, secrets.same), same, told);
  });
}

/** Switches back to a release that is on the device: a named one, or the last that was confirmed before. The data stays. */
export function rollbackRelease(
  p: Recorder,
  spec: {
    readonly to: DeviceName;
    readonly release: string;
    readonly patience?: Partial<Patience>;
    readonly notify?: readonly Channel[];
    /** Whose release it is, for those who are told. */
    readonly system?: System;
  },
): void {
  const { to } = spec;
  p.within(p.on(to).lock('deploy'), (p) => {
    const { current, base, previous, intact, running } = p.on(to).probe(device.status);
    const release = spec.release || p.require(previous, `${to} has no earlier confirmed release to go back to`);
    const found = p.on(to).probe(device.known, { release });
    p.require(found.present, text`release ${release} is not on ${to}; "status" lists what is`);
    p.require(found.confirmed, text`release ${release} was never confirmed healthy on ${to}; "status" lists what was`);
    fitsSchema(p, to, release, { migrates: false });
    const back = (p: Recorder): void => {
      const patience = { ...PATIENCE, ...spec.patience };
      const sw: Switch = { to, release, from: base, running, withdraw: current, patience };
      p.on(to).probe(device.unitsDiff, { release });
      switchOver(p, sw, (p) => {
        stop(p, sw, []);
        point(p, sw);
        p.each(found.services, (p, name) => start(p, sw, name));
      });
    };
    const about = { device: to, release, ...(spec.system && { system: spec.system.name }) };
    const told = toldTo({ to: spec.notify, text: text`rollback to ${release} on ${to}`, ...about }, back);
    p.when(and(equals(current, release), intact), same, told);
  });
}

const same = (): null => null;

/** The schema only goes on: a release whose code cannot run on it is refused before anything is stopped. */
function fitsSchema(p: Recorder, to: DeviceName, release: Value<string>, how: { readonly migrates: boolean }): void {
  const { accepts, detail, help } = p.on(to).probe(device.accepts, { release, ...how });
  p.require(accepts, text`release ${release} cannot run on the database of ${to} as it is now: ${detail}; ${help}`);
}

/** Going from one release to another. Undone in reverse, it ends with `from` current and running. */
interface Switch {
  readonly to: DeviceName;
  readonly release: Value<string>;
  readonly from: Ref<string | null>;
  readonly running: Ref<readonly string[]>;
  /** A release that is left for good: the next rollback does not go back to it. */
  readonly withdraw: Ref<string | null> | null;
  readonly patience: Patience;
}

/** Quiet first, then stopped in reverse order: the named services, and before them whatever else runs. */
function stop(p: Recorder, sw: Switch, names: readonly string[]): void {
  quieten(p, sw);
  const one = (p: Recorder, name: Value<string>): void => {
    p.change({
      touches: [{ place: sw.to, service: typeof name === 'string' ? name : '*' }],
      do: (p) => p.on(sw.to).stop({ name, release: sw.from }),
      // Only what ran is started again: what somebody had stopped stays stopped.
      undo: (p) => p.when(oneOf(name, sw.running), (p) => p.on(sw.to).start({ name, release: sw.from })),
    });
  };
  p.each(without(sw.running, names), one);
  for (const name of names.toReversed()) one(p, name);
}

/** Services that hold something open are asked to begin nothing new, and waited for; what stays open refuses the switch. */
function quieten(p: Recorder, { to, from, patience }: Switch): void {
  p.change({
    touches: [{ place: to, data: 'paused' }],
    do: (p) => p.on(to).call(device.pause, { release: from }),
    undo: (p) => p.on(to).call(device.resume, { release: from }),
  });
  const work = p.waitUntil(
    'nothing is under way that must not be cut off',
    (p) => {
      const { safe, open } = p.on(to).probe(device.safeToStop, { release: from });
      return { until: safe, value: { safe, open } };
    },
    { everyMs: 500, timeoutMs: patience.quiesceTimeoutMs, orElse: 'go-on' },
  );
  p.require(
    work.get('safe'),
    text`not safe to stop on ${to}: ${work.get('open')}; finish or cancel that, then try again`,
  );
}

/**
 * The copy goes back only if the migration itself does not finish; afterwards the schema stays expanded, and the
 * older release must run on it. A finished copy is kept: `collect` removes old ones.
 */
function migrate(p: Recorder, to: DeviceName, release: Value<string>): void {
  const copied = p.change({
    touches: [p.on(to).path('copies')],
    undone: 'unless-done',
    do: (p) => p.on(to).call(device.copyData, { release }),
    undo: (p) => p.on(to).call(device.dropCopy, { release }),
  });
  p.change({
    touches: [{ place: to, data: 'database' }],
    undone: 'unless-done',
    do: (p) =>
      p
        .on(to)
        .call(device.migrate, { release }, { timeoutMs: 600_000, summary: 'after this the schema stays as it is' }),
    undo: (p) => p.on(to).call(device.restoreData, { release, copy: copied.get('copy') }),
  });
}

/** `current` by rename; what the new services find paused stays paused until the release is confirmed. */
function point(p: Recorder, { to, release, from }: Switch): void {
  p.change({
    touches: [p.on(to).path('current')],
    do: (p) => p.on(to).link('current', text`releases/${release}`),
    undo: (p) => p.on(to).link('current', prefix('releases/', from)),
  });
  p.change({
    touches: [{ place: to, data: 'paused' }],
    do: (p) => p.on(to).call(device.pause, { release }),
    undo: (p) => p.on(to).call(device.pause, { release: from }),
  });
}

function start(p: Recorder, { to, release }: Switch, name: Value<string>): void {
  p.change({
    touches: [{ place: to, service: typeof name === 'string' ? name : '*' }],
    do: (p) => p.on(to).start({ name, release }),
    undo: (p) => p.on(to).stop({ name, release }),
  });
}

/** Under the dead-man's switch: judged, confirmed, and only then allowed to go on with its work. */
function switchOver(p: Recorder, sw: Switch, body: (p: Recorder) => void): void {
  const { to, release, from, withdraw, patience } = sw;
  p.within(p.on(to).deadMan({ release, from, leaseMs: patience.leaseMs }), (p) => {
    body(p);
    judge(p, sw);
    p.change({
      touches: [{ place: to, data: 'releases' }],
      do: (p) => p.on(to).call(device.confirm, { release, withdraw }),
      undo: (p) => p.on(to).call(device.unconfirm, { release }),
    });
  });
  p.change({
    touches: [{ place: to, data: 'paused' }],
    do: (p) => p.on(to).call(device.resume, { release }),
    // The release stays, whatever fails later: it is not left paused, and what did not get through is tried again.
    undo: (p) => p.on(to).call(device.resume, { release }),
  });
}

/** On the device, where a connection that is slow or lost does not count against the release. */
function judge(p: Recorder, { to, release, patience }: Switch): void {
  p.on(to).probe(
    device.gate,
    { release, times: patience.healthyTimes, everyMs: HEALTHY_EVERY_MS, withinMs: patience.healthyTimeoutMs },
    { timeoutMs: patience.healthyTimeoutMs + GATE_MARGIN_MS },
  );
}

/** The secrets file as `NAME=value` lines; the values are resolved by the live performer alone. */
function secretLines(system: System): Ref<string> {
  const names = system.secrets ?? [];
  return new Ref({ $text: names.flatMap((name) => [`${name}=`, { $secret: name }, '\n']) });
}

/** Asks a device what it is: what a build must fit. */
export function inspectDevice(
  p: Recorder,
  to: DeviceName,
): {
  readonly architecture: Ref<string>;
  readonly python: Ref<string>;
  readonly wheelPlatforms: Ref<readonly string[]>;
} {
  const { architecture, python, wheelPlatforms } = p.on(to).probe(device.facts);
  return { architecture, python, wheelPlatforms };
}
