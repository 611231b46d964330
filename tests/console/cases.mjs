// What a person does with the console, step by step. Each case ends by itself or throws what it missed.
import { request as ask, createServer } from 'node:http';

function check(truth, what) {
  if (!truth) throw new Error(what);
}

const text = (page, words) => page.getByText(words).first().waitFor();
const heading = (page, words) => page.getByRole('heading', { level: 1, name: words }).waitFor();

// Opens the action by its button, fills what is asked for, and waits until it has ended well.
async function act(page, button, fill = async () => {}, { confirm = '', ends = 'done', first = true } = {}) {
  const buttons = page.getByRole('button', { name: button, exact: true });
  await (first ? buttons.first() : buttons.last()).click();
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  await fill(dialog);
  const plan = dialog.getByRole('button', { name: 'Show the plan' });
  if (await plan.count()) await plan.click();
  await dialog.getByText('What will happen').waitFor();
  if (confirm) await dialog.getByLabel(`Type ${confirm} to confirm`).fill(confirm);
  await dialog.getByRole('button', { name: 'Do it' }).click();
  await dialog.locator('.operation .pill').filter({ hasText: ends }).waitFor({ timeout: 180_000 }).catch(async () => {
    throw new Error(`"${button}" did not end as ${ends}: ${await dialog.innerText()}`);
  });
  const told = await dialog.innerText();
  await dialog.getByRole('button', { name: 'Close' }).click();
  return told;
}

export const cases = {
  // Every page against the living cluster: it says how things are, and a machine finds no fault with its accessibility.
  async pages({ open, input }) {
    const { primary, replica, keyspace, shard } = input;
    const page = await open();
    const pages = [
      ['#/', 'cluster', async () => { await heading(page, 'Cluster'); await text(page, 'Everything is healthy.'); await page.getByRole('row').filter({ hasText: primary }).getByText('serving').waitFor(); await page.getByRole('row').filter({ hasText: replica }).locator('td.mono').filter({ hasText: /\d/ }).waitFor(); }],
      [`#/tablet/${primary}`, 'tablet-primary', async () => { await heading(page, primary); await text(page, 'others follow it'); await text(page, 'All that it tells'); }],
      [`#/tablet/${replica}`, 'tablet-replica', async () => { await heading(page, replica); await page.locator('.facts').getByText('running').first().waitFor(); }],
      ['#/recoveries', 'failovers', async () => { await heading(page, 'Failovers'); await text(page, 'vtorc sees no problem.'); }],
      ['#/sessions', 'sessions', async () => { await heading(page, 'Sessions'); await text(page, 'GET_LOCK'); }],
      ['#/queries', 'queries', async () => { await heading(page, 'Queries'); await page.locator('.note, .empty').first().waitFor(); }],
      [`#/schema/${keyspace}`, 'schema', async () => { await heading(page, `Schema of ${keyspace}`); await page.getByRole('link', { name: 'greetings' }).waitFor(); await page.getByRole('heading', { name: 'VSchema' }).waitFor(); }],
      [`#/schema/${keyspace}/greetings`, 'table', async () => { await text(page, 'CREATE TABLE'); }],
      ['#/backups', 'backups', async () => { await heading(page, 'Backups'); await page.locator('.note').first().waitFor(); await text(page, 'Binary logs are archived by'); }],
      ['#/sql', 'sql', async () => { await heading(page, 'DBA statement'); await page.getByLabel('Statement').waitFor(); }],
      ['#/topology', 'topology', async () => { await heading(page, 'Topology'); await page.getByRole('link', { name: 'global' }).waitFor(); }],
      [`#/topology/global/keyspaces/${keyspace}/shards/0/Shard`, 'record', async () => { await text(page, 'primary_alias'); }],
      ['#/operations', 'operations', async () => { await heading(page, 'Operations'); }],
      ['#/nowhere', 'nowhere', async () => { await heading(page, 'There is no such page'); }],
    ];
    for (const [hash, name, arrive] of pages) {
      await page.go(hash);
      await arrive();
      if (input.brief) continue;
      await page.emulateMedia({ colorScheme: 'light' });
      await page.accessible(`${name}, light`);
      await page.shot(`${name}-light`);
      await page.emulateMedia({ colorScheme: 'dark' });
      await page.accessible(`${name}, dark`);
      await page.shot(`${name}-dark`);
    }
    check(shard, 'no shard was given');
    await page.setViewportSize({ width: 390, height: 800 });
    await page.go('#/');
    await heading(page, 'Cluster');
    check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'the page is wider than a telephone');
    await page.shot('cluster-narrow');
  },

  // What the first view costs, and how soon it is there: the best of five, since others use the machine too.
  async first_view({ open, input }) {
    let best = Infinity;
    let weight = 0;
    for (let round = 0; round < 5; round++) {
      const page = await open();
      const session = await page.context().newCDPSession(page);
      await session.send('Network.enable');
      weight = 0;
      session.on('Network.loadingFinished', (event) => (weight += event.encodedDataLength));
      const began = Date.now();
      await page.go('');
      await page.getByRole('row').filter({ hasText: input.primary }).waitFor();
      best = Math.min(best, Date.now() - began);
      await page.waitForLoadState();
      await page.context().close();
    }
    console.log(`first view: ${best} ms, ${weight} bytes`);
    check(weight > 1000 && weight < 300_000, `the first view weighs ${weight} bytes`);
    check(best < 1000, `the first view took ${best} ms`);
  },

  // Behind a prefix, as kubectl proxy puts one before it.
  async prefix({ open, url }) {
    const prefix = '/api/v1/namespaces/default/services/vtctld:web/proxy';
    const target = new URL(url);
    const proxy = createServer((request, response) => {
      if (!request.url.startsWith(`${prefix}/`)) return response.writeHead(404).end();
      const onward = ask({ host: target.hostname, port: target.port, path: request.url.slice(prefix.length), method: request.method, headers: { ...request.headers, host: '10.1.2.3:15000' } }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      });
      onward.on('error', () => response.destroy());
      response.on('close', () => onward.destroy());
      request.pipe(onward);
    });
    await new Promise((listening) => proxy.listen(0, '127.0.0.1', listening));
    const base = `http://127.0.0.1:${proxy.address().port}${prefix}/`;
    const page = await open({ base, elsewhere: true });
    await page.go('');
    await text(page, 'Everything is healthy.');
    await page.locator('.live .pill.good').waitFor();
    await act(page, 'Validate', undefined, { ends: /done|failed/ });
    await page.goto(`${base}app/`);
    await heading(page, 'Cluster');
    proxy.closeAllConnections?.();
    proxy.close();
  },

  // Without a mouse.
  async keyboard({ open, input }) {
    const page = await open();
    await page.go('#/');
    await text(page, 'Everything is healthy.');
    await page.keyboard.press('Tab');
    check(await page.evaluate(() => document.activeElement.textContent === 'Skip to the content'), 'the first stop is not the skip link');
    await page.keyboard.press('Enter');
    check(await page.evaluate(() => document.activeElement.id === 'main'), 'the skip link does not lead to the content');
    const button = page.getByRole('button', { name: 'Move primary' }).first();
    await button.focus();
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog');
    await dialog.waitFor();
    check(await dialog.evaluate((box) => box.contains(document.activeElement)), 'the dialog does not take the focus');
    await page.accessible('dialog');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    check(await button.evaluate((one) => one === document.activeElement), 'the focus does not come back from the dialog');
    await page.getByRole('link', { name: input.primary }).first().focus();
    await page.keyboard.press('Enter');
    await heading(page, input.primary);
    check(await page.evaluate(() => document.activeElement.tagName === 'H1'), 'a new page does not begin at its heading');
  },

  // Every action once, and what it leads to is seen.
  async actions({ open, input }) {
    const { keyspace, shard } = input;
    let { primary, replica, other } = input;
    const page = await open();
    const row = (alias) => page.getByRole('row').filter({ hasText: alias });

    await page.go('#/');
    await act(page, 'Move primary', async (dialog) => {
      await dialog.getByLabel('New primary').selectOption(replica);
      await dialog.getByRole('button', { name: 'Show the plan' }).click();
      await text(dialog, `${replica} becomes the primary`);
      await page.shot('plan-light');
      await page.accessible('plan');
    });
    await row(replica).getByText('primary').waitFor();
    [primary, replica] = [replica, primary];
    await row(replica).getByText('replica').waitFor();

    await act(page, 'Maintenance', async (dialog) => dialog.getByLabel('Why').fill('a test'));
    await page.getByText(`${shard} is in maintenance (a test)`).waitFor();

    await page.go(`#/tablet/${other}`);
    await heading(page, other);
    await act(page, 'Stop replication');
    await page.getByText('stopped').first().waitFor();
    await act(page, 'Start replication');
    await page.locator('.facts').getByText('running').nth(1).waitFor();
    await act(page, 'Ping');
    await page.go('#/');
    await act(page, 'End maintenance');
    await text(page, 'Everything is healthy.');

    await page.go(`#/tablet/${other}`);
    await act(page, 'Change type', async (dialog) => dialog.getByLabel('New type').selectOption('rdonly'));
    await text(page, /^rdonly of/);
    await act(page, 'Change type', async (dialog) => dialog.getByLabel('New type').selectOption('replica'));
    await text(page, /^replica of/);
    const told = await act(page, 'DBA statement', async (dialog) => {
      await dialog.getByLabel('Statement').fill('SELECT 6 * 7 AS answer');
      await dialog.getByLabel('Rows at most').fill('10');
    });
    check(told.includes('42'), `the statement's answer is not shown: ${told}`);

    await page.go(`#/schema/${keyspace}`);
    await act(page, 'Change schema', async (dialog) => dialog.getByLabel('Statements').fill('CREATE TABLE from_console (id INT PRIMARY KEY)'));
    await act(page, 'Change VSchema', async (dialog) => {
      const box = dialog.getByLabel('VSchema');
      const vschema = JSON.parse(await box.inputValue());
      vschema.tables = { ...vschema.tables, from_console: {} };
      await box.fill(JSON.stringify(vschema));
    });
    await page.go('#/backups');
    await page.go(`#/schema/${keyspace}`);
    await page.getByRole('link', { name: 'from_console' }).waitFor();
    await page.locator('pre', { hasText: 'from_console' }).waitFor();

    await page.go('#/backups');
    await text(page, 'There is no backup.');
    await act(page, 'Back up now');
    await text(page, 'The newest backup is from just now.');
    await page.shot('backups-one-light');
    await act(page, 'Restore…', async (dialog) => dialog.getByLabel('Into which tablet').selectOption(other), { confirm: other });
    await page.go('#/');
    await row(other).getByText('serving').waitFor({ timeout: 60_000 });
    await page.go('#/backups');
    const backup = (await page.locator('tbody th').first().innerText()).trim();
    await act(page, 'Delete', undefined, { confirm: backup });
    await text(page, 'There is no backup.');

    await page.go('#/');
    await page.getByRole('button', { name: 'Validate' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Do it' }).click();
    await dialog.locator('.operation .pill').filter({ hasText: /done|failed/ }).waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();

    // A living tablet is not deleted, and the page says why not.
    const answer = await page.evaluate(async (tablet) => (await fetch('api/plan', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ action: 'delete_tablet', arguments: { tablet } }) })).json(), other);
    check(answer.refused.includes('stop its vttablet'), JSON.stringify(answer));

    await page.go('#/operations');
    check((await page.getByRole('row').count()) > 12, 'the log of operations lacks some');
    await page.shot('operations-after-light');
    await page.getByRole('link', { name: 'Move the primary' }).first().click();
    await text(page, 'PlannedReparentShard');
  },

  // Who asks is asked for name and token; what the role does not allow is off, and says why.
  async roles({ open, url, input }) {
    const as = async (role) => {
      const page = await open({ httpCredentials: { username: `${role}-person`, password: input.tokens[role] } });
      await page.goto(`${url}#/tablet/${input.replica}`);
      await heading(page, input.replica);
      await page.locator('.live .pill.good').waitFor();
      await text(page, `${role}-person`);
      return page;
    };
    const viewer = await as('viewer');
    for (const name of ['Make primary', 'Back up', 'Restore', 'Change type', 'Ping', 'Stop replication', 'DBA statement']) {
      const button = viewer.getByRole('button', { name, exact: true });
      check(await button.isDisabled(), `a viewer may press "${name}"`);
      check((await button.getAttribute('title'))?.startsWith('You need the role'), `"${name}" does not say why it is off`);
    }
    await viewer.shot('viewer-light');
    const operator = await as('operator');
    check(await operator.getByRole('button', { name: 'DBA statement', exact: true }).isDisabled(), 'an operator may run statements as the DBA');
    await act(operator, 'Ping');
    const stranger = await open({ httpCredentials: { username: 'viewer-person', password: 'pl_forged' } });
    stranger.expectsErrors = true;
    const answer = await stranger.goto(url).catch(() => null);
    check(!answer || answer.status() === 401, `a stranger is let in: ${answer?.status()}`);
  },

  // A primary is lost while somebody looks: the page tells it by itself, and vtorc's steps are drawn.
  async failover({ open, input }) {
    const { primary, shard } = input;
    const page = await open();
    await page.go('#/');
    await text(page, 'Everything is healthy.');
    await page.evaluate(() => { window.notReloaded = true; });
    console.log('ready');
    await page.locator('.findings').getByText(primary).first().waitFor({ timeout: 60_000 });
    await page.shot('failover-under-way-light');
    const bar = page.locator('.bar-of-shard').filter({ hasText: shard });
    await bar.locator('a').filter({ hasText: /^zone1-/ }).filter({ hasNotText: primary }).waitFor({ timeout: 60_000 });
    check(await page.evaluate(() => window.notReloaded), 'the page was loaded anew');
    await page.go('#/recoveries');
    await page.locator('.recovery').filter({ hasText: 'now led by' }).first().waitFor({ timeout: 60_000 });
    await page.locator('.recovery[open] .timeline svg rect').first().waitFor();
    await page.accessible('failovers');
    await page.shot('failovers-after-light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.shot('failovers-after-dark');
    // Nobody who plans an emergency reparent of a healthy shard is left unwarned.
    await page.go('#/');
    await text(page, 'Everything is healthy.').catch(() => {});
  },

  // The last means, by hand.
  async emergency({ open, input }) {
    const { shard } = input;
    const page = await open();
    await page.go('#/');
    await heading(page, 'Cluster');
    console.log('ready');
    await page.getByRole('button', { name: 'Emergency reparent' }).waitFor({ timeout: 60_000 });
    await act(page, 'Emergency reparent', undefined, { confirm: shard });
    await page.locator('.bar-of-shard').filter({ hasText: shard }).locator('a').filter({ hasText: /^zone1-/ }).filter({ hasNotText: input.primary }).waitFor();
    await act(page, 'End maintenance');
  },

  // vtctld goes and comes back: the page says so and goes on by itself.
  async vtctld_away({ open }) {
    const page = await open();
    page.expectsErrors = true;
    await page.go('#/');
    await text(page, 'Everything is healthy.');
    console.log('ready');
    await text(page, 'vtctld has not answered since');
    await text(page, 'Everything is healthy.');
    await page.locator('.live .pill.good').waitFor({ timeout: 60_000 });
  },

  // A thousand tablets: what a person does is answered within 100 ms, measured from the event to the next frame.
  async thousand({ open, url, output }) {
    const page = await open();
    await page.go('');
    await page.getByText('1000', { exact: false }).first().waitFor();
    await page.locator('.shard').nth(30).waitFor();
    await page.screenshot({ path: `${output}/thousand-light.png` });
    const took = await page.evaluate(async () => {
      const frame = () => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
      const measure = async (what) => {
        await new Promise((later) => setTimeout(later, 150));
        const began = performance.now();
        what();
        await frame();
        return performance.now() - began;
      };
      const type = (word) => () => {
        const box = document.querySelector('input[type=search]');
        Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(box, word);
        box.dispatchEvent(new Event('input', { bubbles: true }));
      };
      const result = {};
      for (let round = 0; round < 7; round++) {
        for (const [name, what] of Object.entries({
          'open a shard': () => document.querySelectorAll('.fold')[round].click(),
          find: type('zone1-00000004'),
          'find nothing': type('nothing of that name'),
          'find all': type(''),
          'only what is not healthy': () => document.querySelector('input[type=checkbox]').click(),
          'all again': () => document.querySelector('input[type=checkbox]').click(),
          'another page': () => { location.hash = '#/topology'; },
          back: () => { location.hash = '#/'; },
        })) (result[name] ??= []).push(await measure(what));
      }
      return Object.fromEntries(Object.entries(result).map(([name, list]) => [name, Math.round(list.sort((a, b) => a - b)[Math.floor(list.length / 2)])]));
    });
    console.log(JSON.stringify(took));
    // Whoever scrolls sees them all.
    for (let turn = 0; turn < 40 && (await page.locator('.shard').count()) < 334; turn++) {
      await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
      await page.waitForTimeout(50);
    }
    check((await page.locator('.shard').count()) === 334, 'not every shard is drawn in the end');
    for (const [name, ms] of Object.entries(took)) check(ms < 100, `"${name}" took ${ms} ms: ${JSON.stringify(took)}`);
    check(url, 'no url');
  },
};
