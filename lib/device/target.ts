/** The operator's environment, as far as SSH looks at it: HOME, PATH, SSH_AUTH_SOCK. */
export type Environment = { readonly [name: string]: string | undefined };

/** For the programs of OpenSSH and what they start in turn: no device's sudo password is their business. */
export function withoutPasswords(environment: Environment): Environment {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.endsWith('_SUDO_PASSWORD')));
}
