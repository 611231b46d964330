// Runs one case of cases.mjs in the Chromium that the tests share.
// usage: node browse.mjs CASE WEBSOCKET URL OUTPUT [JSON]
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { cases } from './cases.mjs';

const require = createRequire(new URL('../../web/package.json', import.meta.url));
const { chromium } = require('playwright-core');
const axe = require.resolve('axe-core/axe.min.js');

const [name, websocket, url, output, json] = process.argv.slice(2);
mkdirSync(output, { recursive: true });
const browser = await chromium.connectOverCDP(websocket);
const troubles = [];
const opened = [];

// A page that notes what no page of the console may do: errors, and requests to anywhere else.
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, reducedMotion: 'reduce', bypassCSP: true, ...options });
  opened.push(context);
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.on('console', (message) => {
    // vtctld answers some questions with an error on purpose; cases that ask them say so.
    if (message.type() === 'error' && !page.expectsErrors) troubles.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => troubles.push(`error in the page: ${error.message}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(new URL(url).origin) && !request.url().startsWith('data:') && !options.elsewhere) troubles.push(`a request to ${request.url()}`);
  });
  page.go = async (hash) => {
    if (page.url() === 'about:blank') await page.goto((options.base ?? url) + hash);
    else await page.evaluate((to) => { location.hash = to; }, hash);
  };
  page.shot = (file) => page.screenshot({ path: join(output, `${file}.png`), fullPage: true });
  page.accessible = async (where) => {
    if (!(await page.evaluate(() => 'axe' in window))) await page.addScriptTag({ path: axe });
    const found = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] }));
    for (const violation of found.violations.filter((one) => ['serious', 'critical'].includes(one.impact))) {
      troubles.push(`${where}: ${violation.id}: ${violation.help}: ${violation.nodes.slice(0, 3).map((node) => `${node.target} (${node.any[0]?.message ?? ''})`).join('; ')}`);
    }
  };
  return page;
}

let code = 0;
try {
  const run = cases[name];
  if (!run) throw new Error(`there is no case ${name}`);
  await run({ open, url, output, input: json ? JSON.parse(json) : {} });
  if (troubles.length) throw new Error(troubles.join('\n'));
} catch (error) {
  console.log(`FAILED ${name}: ${error.message}`);
  const page = browser.contexts().at(-1)?.pages().at(-1);
  await page?.screenshot({ path: join(output, `failed-${name}.png`) }).catch(() => {});
  code = 1;
}
for (const context of opened) await context.close().catch(() => {});
process.exit(code);
