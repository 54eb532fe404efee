import { secret, slack, telegram, webhook } from '../lib/index.ts';

/** Who is told of deploys and rollbacks; each is off until its secrets are set (`.env.jetson`, `.env.rehearsal`). */
export const channels = [
  webhook({ url: secret('NOTIFY_URL'), optional: true }),
  slack({ webhook: secret('SLACK_WEBHOOK'), optional: true }),
  telegram({ token: secret('TELEGRAM_TOKEN'), chat: secret('TELEGRAM_CHAT'), optional: true }),
];
