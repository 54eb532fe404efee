import { execFileSync } from 'node:child_process';
const NAME = process.env['BOARD'] ?? 'systemd-1';
const [SSH, HTTP] = (process.env['BOARD_PORTS'] ?? '2211 8211').split(' ');
const H = `/tmp/tb/boards/${NAME}.known_hosts`, K = '/tmp/tb/boards/id_ed25519';
export const http = Number(HTTP);
export const settings = { BOARD_HOST: '127.0.0.1', BOARD_PORT: String(SSH), BOARD_USER: 'root', BOARD_KEY: K, BOARD_KNOWN_HOSTS: H };
export const ssh = (user = 'root') => ['ssh', '-i', K, '-o', `UserKnownHostsFile=${H}`, '-o', 'BatchMode=yes', '-p', String(SSH), `${user}@127.0.0.1`];
export const exec = (...argv: string[]): string => execFileSync('docker', ['exec', NAME, ...argv], { encoding: 'utf8' });
export const reboot = (): void => { execFileSync('docker', ['restart', '-t', '20', NAME]); for (;;) { try { execFileSync('docker', ['exec', NAME, 'systemctl', 'is-system-running', '--wait']); return; } catch {} } };
