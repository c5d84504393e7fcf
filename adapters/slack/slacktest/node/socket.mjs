// Slack's bare Socket Mode client: acknowledges everything, with a payload where one is accepted.

import {SocketModeClient, LogLevel} from '@slack/socket-mode';

const client = new SocketModeClient({
  appToken: process.env.SLACK_APP_TOKEN,
  clientOptions: {slackApiUrl: process.env.SLACK_API_URL},
  clientPingTimeout: 1000,
  logLevel: LogLevel.ERROR,
});
const say = (event) => console.log(JSON.stringify(event));

for (const event of ['connected', 'reconnecting', 'disconnected']) client.on(event, () => say({did: event}));
client.on('slash_commands', async ({ack, body, envelope_id}) => {
  await ack({text: `heard ${body.text}`});
  say({did: 'slash', envelope_id, text: body.text});
});
client.on('app_home_opened', async ({ack, event, retry_num, retry_reason}) => {
  if (!retry_num) return say({did: 'ignore'}); // the first attempt is left without an answer
  await ack();
  say({did: 'event', user: event.user, retry_num, retry_reason});
});

await client.start();
process.stdin.resume().on('end', async () => {
  await client.disconnect();
  process.exit(0);
});
