// What the first page says of clusters in trouble. usage: node --test advice_test.mjs
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { build } from 'esbuild';

const built = await build({ entryPoints: [new URL('src/advice.ts', import.meta.url).pathname], bundle: true, format: 'esm', write: false });
const { findings, lastFailover } = await import(`data:text/javascript,${encodeURIComponent(built.outputFiles[0].text)}`);

function tablet(uid, type, changes = {}) {
  return {
    alias: `zone1-0000000${uid}`, cell: 'zone1', keyspace: 'commerce', shard: '0', type, serving: true, healthy: true, connected: true,
    qps: 1, lag: type === 'primary' ? null : 0, position: '', error: '', disk_bytes: 1000, disk_free_bytes: 500, disk_seconds_left: null, tags: {}, ...changes,
  };
}
const away = { healthy: false, connected: false, serving: false };
const topology = (changes = {}) => ({
  cells: [], keyspaces: [], maintenance: {}, problems: [],
  shards: [{ keyspace: 'commerce', name: '0', primary: 'zone1-0000000100', primary_since: 1, serving: true }], ...changes,
});
const whole = () => [tablet(100, 'primary'), tablet(101, 'replica'), tablet(102, 'replica')];
const said = (found) => found.map((finding) => `${finding.tone} ${finding.where}: ${finding.what}`);

test('a healthy cluster needs nothing', () => {
  assert.deepEqual(findings(topology(), whole(), [{ address: 'a', problems: [{ shard: 'commerce/0', primary: '', error: '', maintenance: '', problems: [] }] }]), []);
});

test('a lost primary comes first, with the way out', () => {
  const tablets = [tablet(100, 'primary', away), tablet(101, 'replica', { lag: 95 }), tablet(102, 'replica')];
  const found = findings(topology(), tablets);
  assert.match(said(found)[0], /^bad commerce\/0: The primary zone1-0000000100 does not answer/);
  assert.deepEqual(found[0].action, { name: 'emergency_reparent', label: 'Emergency reparent', arguments: { shard: 'commerce/0' } });
  assert.match(found[0].todo, /vtorc replaces it/);
  assert.match(said(found)[1], /^warn zone1-0000000101: .* lags 95 s/);
});

test('maintenance is told, and that nothing heals meanwhile', () => {
  const found = findings(topology({ maintenance: { commerce: 'moving racks' } }), [tablet(100, 'primary', away), ...whole().slice(1)]);
  assert.match(found[0].todo, /does nothing while the shard is in maintenance/);
  const told = found.find((finding) => finding.tone === 'info');
  assert.match(told.what, /commerce is in maintenance \(moving racks\)/);
  assert.deepEqual(told.action.arguments, { name: 'commerce', on: false });
});

test('who could take over is looked at', () => {
  assert.match(said(findings(topology(), [tablet(100, 'primary')]))[0], /^warn .* one tablet only/);
  assert.match(said(findings(topology(), [tablet(100, 'primary'), tablet(101, 'replica', away), tablet(102, 'replica', away)]))[0], /^bad .* No replica is healthy/);
  assert.match(said(findings(topology(), []))[0], /^bad .* no tablets/);
  const without = topology();
  without.shards[0].primary = '';
  assert.equal(findings(without, whole().slice(1))[0].action.name, 'planned_reparent');
});

test('work on a tablet is no trouble', () => {
  for (const type of ['backup', 'restore', 'drained', 'spare']) {
    assert.deepEqual(findings(topology(), [...whole(), tablet(103, type, { healthy: false, serving: false })]), [], type);
  }
});

test('disks that fill up', () => {
  const full = (free) => findings(topology(), [...whole().slice(0, 2), tablet(102, 'replica', { disk_free_bytes: free })]).map((finding) => finding.tone);
  assert.deepEqual([full(200), full(100), full(20)], [[], ['warn'], ['bad']]);
});

test('vtorcs that do not answer', () => {
  const silent = { address: 'a', error: 'connection refused' };
  assert.match(said(findings(topology(), whole(), [silent]))[0], /^bad vtorc: No vtorc answers/);
  assert.match(said(findings(topology(), whole(), [silent, { address: 'b', problems: [] }]))[0], /^warn vtorc: The vtorc at a does not answer/);
  const sees = { address: 'b', problems: [{ shard: 'commerce/0', primary: '', error: '', maintenance: '', problems: [{ analysis: 'ReplicationStopped', tablet: 'zone1-0000000102', why: '', remedy: '' }] }] };
  assert.match(said(findings(topology(), whole(), [sees, { ...sees, address: 'c' }]))[0], /^warn vtorc: vtorc sees commerce\/0: ReplicationStopped of zone1-0000000102\.$/);
});

test('a topology that does not answer', () => {
  assert.match(said(findings(topology({ problems: ['etcd is away'] }), whole()))[0], /^bad topology: etcd is away/);
});

test('the last failover is the newest that moved a primary', () => {
  const recovery = (began, changes) => ({ id: began, shard: 'commerce/0', tablet: 'a', successor: 'b', error: '', began_unix_ms: began, ended_unix_ms: began + 1, stages: [], ...changes });
  const orc = { address: 'a', recoveries: [recovery(1), recovery(5), recovery(7, { error: 'locked' }), recovery(8, { successor: 'a' }), recovery(9, { ended_unix_ms: 0 })] };
  assert.equal(lastFailover([orc]).began_unix_ms, 5);
  assert.equal(lastFailover([]), undefined);
});
