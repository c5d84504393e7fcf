// An app on Slack's own framework. It answers a command with a card, a click with an edit, opens a modal
// and takes its submission. The Go test plays Slack and the people; a line of JSON on stdout per thing
// that happened here.
//
//   SLACK_API_URL=… SLACK_APP_TOKEN=… SLACK_BOT_TOKEN=… node bolt.mjs

import bolt from '@slack/bolt';

const say = (event) => console.log(JSON.stringify(event));

const app = new bolt.App({
  token: process.env.SLACK_BOT_TOKEN,
  receiver: new bolt.SocketModeReceiver({
    appToken: process.env.SLACK_APP_TOKEN,
    installerOptions: {clientOptions: {slackApiUrl: process.env.SLACK_API_URL}},
    clientPingTimeout: 1000,
    logLevel: bolt.LogLevel.ERROR,
  }),
  clientOptions: {slackApiUrl: process.env.SLACK_API_URL},
  logLevel: bolt.LogLevel.ERROR,
});

app.command('/duplicati', async ({command, ack, client, respond}) => {
  await ack();
  if (command.text === 'form') {
    const text = {type: 'plain_text', text: 'Run'};
    await client.views.open({
      trigger_id: command.trigger_id,
      view: {
        type: 'modal', callback_id: 'form', title: text, submit: text,
        blocks: [{type: 'input', block_id: 'name', label: text, element: {type: 'external_select', action_id: 'pick', min_query_length: 0}}],
      },
    });
    say({did: 'open'});
    return;
  }
  const posted = await client.chat.postMessage({
    channel: command.channel_id, text: 'photos: run?',
    blocks: [
      {type: 'section', text: {type: 'plain_text', text: 'photos: run?'}},
      {type: 'actions', elements: [{type: 'button', action_id: 'run', value: '7', text: {type: 'plain_text', text: 'Run'}}]},
    ],
  });
  await respond({response_type: 'ephemeral', text: 'asked'});
  say({did: 'post', ts: posted.ts});
});

app.action('run', async ({ack, action, body, client}) => {
  await ack();
  await client.chat.update({channel: body.channel.id, ts: body.message.ts, text: `runs ${action.value}`});
  say({did: 'update'});
});

app.options('pick', async ({ack, options}) => {
  await ack({options: [{text: {type: 'plain_text', text: `photos ${options.value}`}, value: '7'}]});
});

app.view('form', async ({ack, view}) => {
  const picked = view.state.values.name.pick.selected_option.value;
  await ack({response_action: 'errors', errors: {name: `not ${picked}`}});
  say({did: 'submit', picked});
});

app.event('app_home_opened', async ({event, client}) => {
  await client.views.publish({user_id: event.user, view: {type: 'home', blocks: [{type: 'header', text: {type: 'plain_text', text: 'nas'}}]}});
  say({did: 'publish'});
});

app.error(async (error) => say({error: String(error.stack ?? error)}));

await app.start();
say({did: 'start'});
process.stdin.resume().on('end', async () => {
  await app.stop();
  process.exit(0);
});
