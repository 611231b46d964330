// Is it healthy, and what should be done: findings from the cluster's state. Pure.
import type { Arguments, Recovery, Shard, Tablet, Topology, Vtorc } from './api';
import { seconds, share } from './format';

export type Tone = 'bad' | 'warn' | 'info';
export interface Finding {
  key: string;
  tone: Tone;
  where: string; // "commerce/0", "zone1-0000000101", "cluster"
  what: string;
  todo: string;
  href?: string;
  action?: { name: string; label: string; arguments: Arguments };
}

const LAG_SECONDS = 30;
const DISK_SHARE = 0.85;

export const nameOf = (shard: Shard) => `${shard.keyspace}/${shard.name}`;

export function maintenanceOf(maintenance: Record<string, string>, shard: Shard): string | undefined {
  return maintenance[nameOf(shard)] ?? maintenance[shard.keyspace] ?? maintenance['*'];
}

function ofShard(shard: Shard, tablets: Tablet[], maintenance: string | undefined): Finding[] {
  const where = nameOf(shard);
  const found: Finding[] = [];
  const primary = tablets.find((tablet) => tablet.alias === shard.primary);
  const replicas = tablets.filter((tablet) => tablet.type === 'replica' && tablet.alias !== shard.primary);
  if (!tablets.length) {
    found.push({ key: `${where} empty`, tone: 'bad', where, what: 'The shard has no tablets.', todo: `Start vttablets with --init-keyspace ${shard.keyspace} --init-shard ${shard.name}.` });
  } else if (!shard.primary) {
    found.push({
      key: `${where} none`, tone: 'bad', where, what: 'The shard has no primary: nothing can be written.',
      todo: 'Choose its first primary.', action: { name: 'planned_reparent', label: 'Choose a primary', arguments: { shard: where } },
    });
  } else if (!primary?.healthy) {
    found.push({
      key: `${where} primary`, tone: 'bad', where,
      what: `The primary ${shard.primary} ${primary ? (primary.connected ? 'does not serve' : 'does not answer') : 'has no record'}${primary?.error ? `: ${primary.error}` : ''}.`,
      todo: maintenance === undefined
        ? 'vtorc replaces it within seconds. If it does not, run an emergency reparent.'
        : 'vtorc does nothing while the shard is in maintenance: end it, or run an emergency reparent.',
      action: { name: 'emergency_reparent', label: 'Emergency reparent', arguments: { shard: where } },
    });
  }
  if (primary && tablets.length > 1 && !replicas.some((tablet) => tablet.healthy)) {
    found.push({ key: `${where} alone`, tone: 'bad', where, what: 'No replica is healthy: if the primary is lost, nobody can take over.', todo: 'Bring a replica back (below), or add one.' });
  } else if (primary && tablets.length === 1) {
    found.push({ key: `${where} single`, tone: 'warn', where, what: 'The shard has one tablet only: if it is lost, so is the service.', todo: 'Add a replica: start another vttablet for this shard.' });
  }
  return found;
}

function ofTablet(tablet: Tablet, isPrimary: boolean): Finding[] {
  const where = tablet.alias;
  const href = `#/tablet/${tablet.alias}`;
  const found: Finding[] = [];
  if (!isPrimary && !tablet.connected) {
    found.push({ key: `${where} away`, tone: 'warn', where, href, what: `${where} does not answer.`, todo: 'Start its vttablet again. If it is gone for good, delete its record on its page.' });
  } else if (!isPrimary && !tablet.healthy && !['backup', 'restore', 'drained', 'spare'].includes(tablet.type)) {
    found.push({ key: `${where} sick`, tone: 'warn', where, href, what: `${where} does not serve${tablet.error ? `: ${tablet.error}` : ''}.`, todo: 'vtorc mends it where it can; its page tells more.' });
  } else if (tablet.lag !== null && tablet.lag > LAG_SECONDS) {
    found.push({ key: `${where} lag`, tone: 'warn', where, href, what: `${where} lags ${seconds(tablet.lag)}: its reads are old, and a failover to it takes long.`, todo: 'Look at its page: a long statement, a slow disk, or stopped replication.' });
  }
  const used = share(tablet.disk_bytes, tablet.disk_free_bytes);
  if (used !== null && used > DISK_SHARE) {
    found.push({ key: `${where} disk`, tone: used > 0.95 ? 'bad' : 'warn', where, href, what: `The disk of ${where} is ${Math.round(used * 100)} % full.`, todo: 'Grow the volume (ResizeStorage) or remove data; before it is full the tablet refuses writes.' });
  }
  return found;
}

// What the vtorcs themselves say, beside what is seen from here.
function ofVtorcs(vtorcs: Vtorc[]): Finding[] {
  const silent = vtorcs.filter((orc) => orc.error);
  if (vtorcs.length && silent.length === vtorcs.length) {
    return [{
      key: 'vtorc', tone: 'bad', where: 'vtorc', href: '#/recoveries', what: 'No vtorc answers: nothing is healed.',
      todo: 'Start one. Until then a primary that dies is replaced by an emergency reparent only.',
    }];
  }
  const found: Finding[] = silent.map((orc) => ({
    key: `vtorc ${orc.address}`, tone: 'warn', where: 'vtorc', href: '#/recoveries', what: `The vtorc at ${orc.address} does not answer.`, todo: 'Start it again; another one heals meanwhile.',
  }));
  const seen = new Set<string>();
  for (const { shard, problems, error } of vtorcs.flatMap((orc) => orc.problems ?? [])) {
    for (const problem of problems) seen.add(`${shard}: ${problem.analysis}${problem.tablet ? ` of ${problem.tablet}` : ''}`);
    if (error) seen.add(`${shard}: ${error}`);
  }
  if (seen.size) {
    found.push({ key: 'vtorc sees', tone: 'warn', where: 'vtorc', href: '#/recoveries', what: `vtorc sees ${[...seen].slice(0, 3).join('; ')}${seen.size > 3 ? ` and ${seen.size - 3} more` : ''}.`, todo: 'It heals what it can; its page tells what it does about each.' });
  }
  return found;
}

// The newest one that ended with another primary.
export function lastFailover(vtorcs: Vtorc[]): Recovery | undefined {
  return vtorcs.flatMap((orc) => orc.recoveries ?? [])
    .filter((recovery) => recovery.ended_unix_ms > 0 && !recovery.error && recovery.successor && recovery.successor !== recovery.tablet)
    .sort((a, b) => b.began_unix_ms - a.began_unix_ms)[0];
}

export function findings(topology: Topology, tablets: Tablet[], vtorcs: Vtorc[] = []): Finding[] {
  const found: Finding[] = [];
  for (const problem of topology.problems) {
    found.push({ key: `topology ${problem}`, tone: 'bad', where: 'topology', what: problem, todo: 'Serving goes on with what is known, but nothing can be changed. Look at the topology servers.' });
  }
  for (const [name, why] of Object.entries(topology.maintenance)) {
    found.push({
      key: `maintenance ${name}`, tone: 'info', where: name === '*' ? 'cluster' : name,
      what: `${name === '*' ? 'The whole cluster' : name} is in maintenance (${why || 'no reason given'}): vtorc heals nothing there.`,
      todo: 'End it when the work is done.', action: { name: 'maintenance', label: 'End maintenance', arguments: { name, on: false } },
    });
  }
  const byShard = new Map<string, Tablet[]>();
  for (const tablet of tablets) {
    const name = `${tablet.keyspace}/${tablet.shard}`;
    const list = byShard.get(name);
    if (list) list.push(tablet);
    else byShard.set(name, [tablet]);
  }
  const primaries = new Set<string>();
  for (const shard of topology.shards) {
    primaries.add(shard.primary);
    found.push(...ofShard(shard, byShard.get(nameOf(shard)) ?? [], maintenanceOf(topology.maintenance, shard)));
  }
  for (const tablet of tablets) found.push(...ofTablet(tablet, primaries.has(tablet.alias)));
  found.push(...ofVtorcs(vtorcs));
  const order: Tone[] = ['bad', 'warn', 'info'];
  return found.sort((a, b) => order.indexOf(a.tone) - order.indexOf(b.tone));
}
