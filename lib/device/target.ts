/** The operator's environment, as far as SSH looks at it: HOME, PATH, SSH_AUTH_SOCK. */
export type Environment = { readonly [name: string]: string | undefined };
