// The console's pages over a simulated cluster: as many tablets as asked for, news twice a second.
// usage: node mock.mjs TABLETS [PORT]     Prints its address; ends with its standard input.
import { createServer } from 'node:http';
import { bundle } from '../../web/bundle.mjs';

const count = Number(process.argv[2] ?? 1000);
const files = new Map((await bundle()).map(([name, type, bytes]) => [name, { type, bytes }]));
const cells = ['zone1', 'zone2', 'zone3'];
const shards = [];
const tablets = [];
for (let n = 0; n < count; n++) {
  const shard = Math.floor(n / 3);
  const keyspace = `keyspace${Math.floor(shard / 64)}`;
  const name = `${(shard % 64).toString(16).padStart(2, '0')}-`;
  const alias = `${cells[n % 3]}-${String(100 + n).padStart(10, '0')}`;
  if (n % 3 === 0) shards.push({ keyspace, name, primary: alias, primary_since: Date.now(), serving: true });
  tablets.push({
    alias, cell: cells[n % 3], keyspace, shard: name, type: n % 3 ? 'replica' : 'primary', serving: true, healthy: true, connected: true,
    host: `10.0.${n >> 8}.${n & 255}`, web_port: 15100, grpc_port: 16100, mysql: `10.0.${n >> 8}.${n & 255}:3306`, qps: 100, lag: n % 3 ? 0 : null,
    position: `MySQL56/3e11fa47-71ca-11e1-9e33-c80aa9429562:1-${1000 + n}`, error: '', primary_since: null, version: '0.1.0',
    disk_bytes: 1e12, disk_free_bytes: 6e11, disk_seconds_left: null, tags: {},
  });
}
if (tablets[4]) Object.assign(tablets[4], { healthy: false, connected: false, error: 'its health stream broke' });
if (tablets[7]) Object.assign(tablets[7], { lag: 95.3, disk_free_bytes: 9e10 });
const keyspaces = [...new Set(shards.map((shard) => shard.keyspace))].map((name) => ({ name, type: 'normal', durability: 'semi_sync' }));
const topology = { cells: cells.map((name) => ({ name, address: 'etcd:2379', root: `/vitess/${name}` })), keyspaces, shards, maintenance: {}, problems: [] };

// One example of all else that the pages show.
const now = Date.now();
const began = now - 720_000;
const stage = (after_ms, name, words) => ({ unix_ms: began + after_ms, after_ms, stage: name, text: words });
const told = {
  '/api/vtorcs': { vtorcs: [
    { address: '10.0.9.1:16000', problems: [], recoveries: [{
      id: 4, shard: 'keyspace0/00-', analysis: 'DeadPrimary', remedy: 'emergency reparent', tablet: 'zone2-0000000101', successor: 'zone1-0000000100', error: '', began_unix_ms: began, ended_unix_ms: began + 1240,
      stages: [stage(0, 'lock', 'the shard is locked'), stage(14, 'look', '2 of 3 tablets answer'), stage(160, 'fence', 'term 7 is promised by 2'), stage(420, 'elect', 'zone1-0000000100 has all'), stage(460, 'promote', 'applies the rest'), stage(1100, 'publish', 'the record is written')],
    }], timeline: [] },
    { address: '10.0.9.2:16000', error: 'connection refused' },
  ] },
  '/api/vtgates': { vtgates: [{
    address: '10.0.9.3:15001', buffer: { waiting: 0, bytes: 0, limit: 1000, buffered: 412, released: 412, refused: 0, expired: 0 },
    sessions: [{ id: '4294967297', user: 'greeter', host: '10.1.2.3:40312', target: 'keyspace0', state: 'idle', pinned: '', statement: '' }, { id: '4294967301', user: 'reports', host: '10.1.2.9:51200', target: 'keyspace0@replica', state: 'query', pinned: 'temporary table', statement: 'insert into `recent` select * from `greetings` where `at` > ?' }],
    query_stats: [
      { Query: 'select `id`, `name`, `at` from `greetings` where `id` = ?', Keyspace: 'keyspace0', QueryCount: 812044, Time: 203e9, LongestTime: 48e6, RowsReturned: 812040, RowsAffected: 0, ErrorCount: 0 },
      { Query: 'insert into `greetings` (`name`) values (?)', Keyspace: 'keyspace0', QueryCount: 90211, Time: 311e9, LongestTime: 1310e6, RowsReturned: 0, RowsAffected: 90209, ErrorCount: 2 },
      { Query: 'select `g`.`name`, count(*) from `greetings` as `g` join `people` as `p` on `p`.`name` = `g`.`name` where `p`.`city` in (?) group by `g`.`name` order by count(*) desc limit ?', Keyspace: 'keyspace0', QueryCount: 12, Time: 9.1e9, LongestTime: 2100e6, RowsReturned: 1200, RowsAffected: 0, ErrorCount: 0 },
    ],
  }] },
  '/api/tablet': { record: { alias: { cell: 'zone1', uid: 100 } }, status: { version: '10.11.14-MariaDB', version_comment: 'Debian', replication_status: { source_host: '10.0.0.0', source_port: 3306, io_state: 3, sql_state: 3, replication_lag_seconds: 0, position: 'MySQL56/3e11fa47-71ca-11e1-9e33-c80aa9429562:1-1001' } } },
  '/api/schema': { table_definitions: [{ name: 'greetings', type: 'BASE TABLE', schema: 'CREATE TABLE `greetings` (\n  `id` bigint NOT NULL AUTO_INCREMENT,\n  `name` varchar(64) NOT NULL,\n  PRIMARY KEY (`id`)\n)', columns: ['id', 'name'], primary_key_columns: ['id'], data_length: '16384', row_count: '90209' }] },
  '/api/vschema': { sharded: false, tables: { greetings: {} } },
  '/api/topology': { name: 'Shard', path: '/global/keyspaces/keyspace0/shards/00-/Shard', data: '{"primary_alias": {"cell": "zone1", "uid": 100}}', children: [], version: 12 },
  '/api/archive': { first_time: '2026-11-27T19:15:00Z', last_time: '2026-11-27T21:40:12Z', gaps: [], bytes: 48_000_000, archivers: [{ tablet: 'zone2-0000000101', running: true, lag_ms: 240, error: '' }] },
  '/api/backups': { backups: [{ name: '2026-11-27.191500.zone2-0000000101', engine: 'builtin', status: 'VALID', tablet_alias: { cell: 'zone2', uid: 101 }, time: { seconds: String(Math.round(now / 1000) - 7200) } }] },
};

const listeners = new Set();
setInterval(() => {
  const changed = tablets.filter(() => Math.random() < 0.7);
  for (const tablet of changed) tablet.qps = Math.round(Math.random() * 5000) / 10;
  const text = `event: tablets\ndata: ${JSON.stringify({ changed, gone: [] })}\n\n`;
  for (const listener of listeners) listener.write(text);
}, 500).unref();

const server = createServer((request, response) => {
  const path = new URL(request.url, 'http://mock').pathname;
  const json = (value) => response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
  const file = files.get(path === '/' ? 'index.html' : path.slice(1));
  if (file) return response.setHeader('content-type', file.type).end(file.bytes);
  if (path === '/api/events') {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`event: snapshot\ndata: ${JSON.stringify({ ...topology, tablets })}\n\n`);
    listeners.add(response);
    return request.on('close', () => listeners.delete(response));
  }
  if (path === '/api/me') return json({ name: 'test', roles: ['viewer', 'operator', 'admin'], actions: {}, cell: 'zone1', vtorcs: [], vtgates: [] });
  if (path === '/api/operations') return json({ operations: [
    { id: 1, action: 'planned_reparent', target: 'keyspace0/00-', command: 'vtctldclient PlannedReparentShard keyspace0/00-', who: 'ada', state: 'done', began: now - 90_000, ended: now - 89_300, error: '', line_count: 1, last_line: 'zone1-0000000100 leads' },
    { id: 2, action: 'backup', target: 'keyspace0/01-', command: 'vtctldclient BackupShard keyspace0/01-', who: 'ada', state: 'running', began: now - 20_000, ended: null, error: '', line_count: 7, last_line: 'copied 4.1 of 12.0 GB' },
  ] });
  if (path === '/api/state') return json({ ...topology, tablets });
  if (told[path]) return json(told[path]);
  response.writeHead(404).end('{"error":"no such page"}');
});
server.listen(Number(process.argv[3] ?? 0), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`));
process.stdin.on('end', () => process.exit(0)).resume();
