/** Why the stand-in board could not do what it was asked. */
export type ProblemKind =
  | { readonly reason: 'not-linux'; readonly platform: string }
  | { readonly reason: 'tools-missing'; readonly packages: readonly string[] }
  | { readonly reason: 'daemon-unreachable'; readonly said: string }
  | { readonly reason: 'no-sources'; readonly suite: string }
  | { readonly reason: 'image-not-built'; readonly log: string; readonly tail: string }
  | {
      readonly reason: 'command-failed';
      readonly argv: readonly string[];
      readonly status: number | null;
      readonly said: string;
    }
  | { readonly reason: 'no-board'; readonly name: string }
  | { readonly reason: 'board-is-down'; readonly name: string }
  | { readonly reason: 'board-of-another'; readonly name: string; readonly folder: string }
  | { readonly reason: 'disk-device-taken'; readonly name: string; readonly device: string }
  | { readonly reason: 'not-up-in-time'; readonly name: string; readonly state: string; readonly said: string }
  | { readonly reason: 'usage'; readonly detail: string };

/** A failure that was foreseen: data, put into words by `explain`. */
export class Problem extends Error {
  readonly kind: ProblemKind;

  constructor(kind: ProblemKind) {
    super(explain(kind));
    this.name = 'Problem';
    this.kind = kind;
  }
}

const indented = (text: string): string => text.replaceAll(/^/gm, '  ');

const words: { readonly [R in ProblemKind['reason']]: (kind: Extract<ProblemKind, { reason: R }>) => string } = {
  'not-linux': ({ platform }) =>
    `the stand-in board is built from Debian packages on Linux, and this is ${platform}\n  run it in a virtual machine with Debian or Ubuntu`,
  'tools-missing': ({ packages }) =>
    `the stand-in board needs what is missing here\n  sudo apt-get install ${packages.join(' ')}`,
  'daemon-unreachable': ({ said }) =>
    `docker's daemon does not answer\n${indented(said)}\n  start it (sudo systemctl start docker), or let yourself in: sudo usermod -aG docker "$USER", then log in anew`,
  'no-sources': ({ suite }) => `no apt source of this machine names ${suite}\n  see /etc/apt/sources.list.d`,
  'image-not-built': ({ log, tail }) => `the board's image was not built\n${indented(tail)}\n  all of it: ${log}`,
  'command-failed': ({ argv, status, said }) =>
    `${argv.slice(0, 3).join(' ')} … ended with status ${String(status)}\n${indented(said)}`,
  'no-board': ({ name }) => `there is no board ${name}\n  npm run testbed -- up --name ${name}`,
  'board-is-down': ({ name }) => `the board ${name} does not run\n  npm run testbed -- up --name ${name}`,
  'board-of-another': ({ name, folder }) =>
    `another folder's testbed has a board ${name}: ${folder}\n  choose another name: npm run testbed -- up --name ${name}-2`,
  'disk-device-taken': ({ name, device }) =>
    `the disk of ${name} was at ${device}, and something else is there now\n  make the board anew: npm run testbed -- down --name ${name}, then up`,
  'not-up-in-time': ({ name, state, said }) =>
    `the board ${name} did not come up: ${state}\n${indented(said)}\n  look at it: docker exec ${name} journalctl -b`,
  usage: ({ detail }) => detail,
};

function explain(kind: ProblemKind): string {
  return (words[kind.reason] as (kind: ProblemKind) => string)(kind);
}
