// Backups of each shard, those under way, and whether there is a fresh one.
import type { Shard } from '../api';
import { nameOf } from '../advice';
import { backupShard, removeBackup, restore } from '../asks';
import { ActionButton } from '../dialog';
import { ago, bytes, seconds, time } from '../format';
import { Empty, Note, Page, Pill, TableBox, Waiting } from '../parts';
import { store, usePolled, useStore } from '../store';

interface Backup {
  name: string;
  engine: string;
  status: string | number;
  tablet_alias: { cell: string; uid: number } | null;
  time: { seconds: string } | null;
}

interface Archived {
  last_time?: string; // none: nothing is archived
  first_time?: string;
  gaps?: string[];
  bytes?: number;
  archivers: { tablet: string; running: boolean; lag_ms: number; error: string }[];
}

const DAY = 86_400_000;
const ARCHIVER_LAG_MS = 60_000;

// The binary logs between the backups: to which moments one can go back.
function Archive({ shard }: { shard: string }) {
  const { data, error } = usePolled<Archived>('api/archive', { shard }, 10);
  if (error) return <Note tone="warn">The archive of binary logs cannot be read: {error}</Note>;
  if (!data) return null;
  const running = data.archivers.filter((one) => one.running);
  const behind = Math.max(0, ...running.map((one) => one.lag_ms));
  if (!data.last_time && data.archivers.length === 0) {
    return <p class="dim">Binary logs are not archived: a restore goes to a backup, not to a moment between two. <code>vttablet --archive-binlogs</code> begins it.</p>;
  }
  return (
    <>
      {running.length === 0
        ? <Note tone="bad"><strong>Nobody archives the binary logs.</strong> {data.last_time ? `They reach to ${data.last_time}.` : ''} {data.archivers.map((one) => `${one.tablet}: ${one.error}`).join('; ')}</Note>
        : <Note tone={behind > ARCHIVER_LAG_MS ? 'warn' : 'good'}>Binary logs are archived by {running.map((one) => one.tablet).join(', ')}, {seconds(behind / 1000)} behind{data.first_time ? `, since ${data.first_time}` : ''}{data.bytes ? ` (${bytes(data.bytes)})` : ''}.</Note>}
      {running.filter((one) => one.error).map((one) => <Note tone="warn" key={one.tablet}>{one.tablet}: {one.error}</Note>)}
      {(data.gaps ?? []).map((gap) => <Note tone="warn" key={gap}>The archive lacks <span class="mono">{gap}</span>: a restore to a moment after it begins at a later backup.</Note>)}
    </>
  );
}

function ShardBackups({ shard }: { shard: Shard }) {
  const name = nameOf(shard);
  const { operations } = useStore();
  const running = [...operations.values()].filter((operation) => operation.state === 'running' && ['backup', 'restore'].includes(operation.action));
  const mine = running.filter((operation) => operation.target === name || store.tablets.get(operation.target)?.shard === shard.name);
  const busy = store.list().filter((tablet) => tablet.keyspace === shard.keyspace && tablet.shard === shard.name && ['backup', 'restore'].includes(tablet.type));
  const { data, error, again } = usePolled<{ backups: Backup[] }>('api/backups', { shard: name }, mine.length ? 2 : 10);
  const list = [...(data?.backups ?? [])].sort((a, b) => b.name.localeCompare(a.name));
  const good = list.find((backup) => ['VALID', 'COMPLETE', 4, 2].includes(backup.status));
  const newest = good?.time ? Number(good.time.seconds) * 1000 : null;
  return (
    <section aria-label={`backups of ${name}`}>
      <div class="with-actions">
        <h2>{name}</h2>
        <ActionButton asked={backupShard(name)} label="Back up now" />
      </div>
      {data && (newest === null ? (
        <Note tone="bad"><strong>There is no backup.</strong> Make one: without it a new tablet is seeded from a living one alone, and a mistake cannot be undone.</Note>
      ) : Date.now() - newest > DAY ? (
        <Note tone="warn">The newest backup is from {ago(newest)}. Make one each day.</Note>
      ) : (
        <Note tone="good">The newest backup is from {ago(newest)}.</Note>
      ))}
      <Archive shard={name} />
      {mine.map((operation) => (
        <Note tone="info" key={operation.id}>
          <a href={`#/operations/${operation.id}`}>{operation.action === 'backup' ? 'Backing up' : 'Restoring'} {operation.target}</a>: {operation.last_line || 'beginning'}
        </Note>
      ))}
      {busy.filter((tablet) => !mine.some((operation) => operation.target === tablet.alias)).map((tablet) => (
        <Note tone="info" key={tablet.alias}><a href={`#/tablet/${tablet.alias}`}>{tablet.alias}</a> is {tablet.type === 'backup' ? 'being backed up' : 'restoring'}{tablet.error ? `: ${tablet.error}` : ''}.</Note>
      ))}
      {!data ? <Waiting error={error} what="the backups" again={again} /> : list.length > 0 && (
        <TableBox label={`list of the backups of ${name}`}>
          <thead><tr><th scope="col">Backup</th><th scope="col">Taken</th><th scope="col">Of tablet</th><th scope="col">Engine</th><th scope="col">State</th><th scope="col">Actions</th></tr></thead>
          <tbody>
            {list.map((backup) => {
              const whole = ['VALID', 'COMPLETE', 4, 2].includes(backup.status);
              const stamp = backup.name.split('.').slice(0, 2).join('.');
              const replica = store.list().find((tablet) => tablet.keyspace === shard.keyspace && tablet.shard === shard.name && tablet.alias !== shard.primary);
              return (
                <tr key={backup.name}>
                  <th scope="row" class="mono">{backup.name}</th>
                  <td>{backup.time ? `${time(Number(backup.time.seconds) * 1000)} (${ago(Number(backup.time.seconds) * 1000)})` : '–'}</td>
                  <td>{backup.tablet_alias ? `${backup.tablet_alias.cell}-${String(backup.tablet_alias.uid).padStart(10, '0')}` : '–'}</td>
                  <td>{backup.engine || '–'}</td>
                  <td>{whole ? <Pill tone="good">whole</Pill> : <Pill tone="bad">{String(backup.status).toLowerCase()}</Pill>}</td>
                  <td class="actions">
                    {whole && replica && <ActionButton asked={restoreInto(shard, stamp)} label="Restore…" kind="careful" />}
                    <ActionButton asked={removeBackup(shard, backup.name)} label="Delete" kind="careful" />
                  </td>
                </tr>
              );
            })}
          </tbody>
        </TableBox>
      )}
    </section>
  );
}

// Into which tablet is asked in the dialog.
function restoreInto(shard: Shard, timestamp: string) {
  const fit = store.list().filter((tablet) => tablet.keyspace === shard.keyspace && tablet.shard === shard.name && tablet.alias !== shard.primary);
  return {
    ...restore(fit[0]?.alias ?? '', timestamp),
    title: `Restore the backup of ${timestamp}`,
    inputs: [{ name: 'tablet', label: 'Into which tablet', kind: 'choice' as const, choices: fit.map((tablet) => ({ value: tablet.alias, label: `${tablet.alias} (${tablet.type})` })) }],
  };
}

export function BackupsPage({ shard }: { shard: string }) {
  const { topology } = useStore();
  const shown = topology.shards.filter((other) => !shard || nameOf(other) === shard);
  return (
    <Page title={shard ? `Backups of ${shard}` : 'Backups'} lead={shard && <a href="#/backups">All shards</a>}>
      {shown.length === 0 && <Empty><p>There is no shard {shard} to back up.</p></Empty>}
      {shown.map((other) => <ShardBackups shard={other} key={nameOf(other)} />)}
    </Page>
  );
}
