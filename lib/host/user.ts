import { userInfo } from 'node:os';

/** The login name of whoever runs this: as the environment says, otherwise as the system knows it. */
export function currentUser(environment: { readonly [name: string]: string | undefined } = process.env): string {
  return environment['USER'] ?? environment['LOGNAME'] ?? systemUser();
}

/** A uid without a name, as in many containers, stands for itself. */
function systemUser(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid-${String(process.getuid?.())}`;
  }
}
