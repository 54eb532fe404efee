/** The login name of whoever runs this; empty where nothing says. */
export const currentUser = (): string => process.env['USER'] ?? process.env['LOGNAME'] ?? '';
