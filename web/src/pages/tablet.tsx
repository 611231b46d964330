// One tablet: how it is, what it replicates, what can be done with it.
import { findings } from '../advice';
import { backupTablet, changeType, executeDba, plannedReparent, restore, simple } from '../asks';
import { LineChart } from '../chart';
import { ActionButton } from '../dialog';
import { ago, bytes, days, number, seconds, share, time } from '../format';
import { Bar, Code, Empty, Facts, Note, Page, Pill, Waiting } from '../parts';
import { store, usePolled, useStore } from '../store';
import { Findings, stateOf } from './cluster';

interface Answer {
  record: Record<string, unknown>;
  status?: { replication_status?: Record<string, unknown> | null; version?: string; version_comment?: string; [field: string]: unknown };
  error?: string;
}

function Replication({ status }: { status: Record<string, unknown> }) {
  const text = (name: string) => String(status[name] ?? '');
  const running = (name: string) => {
    // Vitess's numbers.
    const state = ['not known', 'stopped', 'connecting', 'running'][Number(text(name))] ?? text(name);
    return <Pill tone={state === 'running' ? 'good' : 'bad'}>{state}</Pill>;
  };
  return (
    <Facts
      rows={[
        ['Follows', text('source_host') ? `${text('source_host')}:${text('source_port')}` : ''],
        ['Receiving', running('io_state')],
        ['Applying', running('sql_state')],
        ['Lag', status.replication_lag_unknown ? 'not known' : `${text('replication_lag_seconds')} s`],
        ['Last error receiving', text('last_io_error')],
        ['Last error applying', text('last_sql_error')],
        ['Applied', <span class="mono wrap">{text('position')}</span>],
      ]}
    />
  );
}

export function TabletPage({ alias }: { alias: string }) {
  const { topology } = useStore();
  const tablet = store.tablets.get(alias);
  const { data, error, again } = usePolled<Answer>('api/tablet', { alias }, 5);
  if (!tablet) {
    return (
      <Page title={alias}>
        <Empty><p>There is no tablet {alias} in the topology. <a href="#/">Go to the cluster</a>.</p></Empty>
      </Page>
    );
  }
  const name = `${tablet.keyspace}/${tablet.shard}`;
  const leads = topology.shards.some((shard) => shard.primary === alias);
  const state = stateOf(tablet);
  const mine = findings(topology, store.list()).filter((finding) => finding.where === alias || (leads && finding.where === name));
  const history = store.history(alias);
  const used = share(tablet.disk_bytes, tablet.disk_free_bytes);
  const status = data?.status;
  return (
    <Page
      title={alias}
      lead={<>{leads ? 'Primary' : tablet.type} of <a href="#/">{name}</a> in cell {tablet.cell}. <Pill tone={state.tone}>{state.text}</Pill></>}
      actions={
        <>
          {!leads && <ActionButton asked={plannedReparent(name, alias)} label="Make primary" />}
          {leads && <ActionButton asked={plannedReparent(name)} label="Move primary" />}
          <ActionButton asked={backupTablet(tablet)} label="Back up" />
          {!leads && <ActionButton asked={restore(alias)} label="Restore" kind="careful" />}
          {!leads && <ActionButton asked={changeType(tablet)} label="Change type" />}
          <ActionButton asked={simple('ping', tablet)} label="Ping" />
          <ActionButton asked={executeDba(alias)} label="DBA statement" kind="careful" />
        </>
      }
    >
      {mine.length ? <Findings list={mine} /> : tablet.healthy ? <Note tone="good"><strong>Healthy.</strong> Nothing needs to be done.</Note> : null}
      {tablet.error && <Note tone="warn">It says: {tablet.error}</Note>}
      <div class="two">
        <LineChart label="Queries per second" unit="" at={history.at} values={history.qps} />
        {!leads && <LineChart label="Replication lag" unit=" s" at={history.at} values={history.lag} />}
      </div>
      <div class="two">
        <section aria-labelledby="facts">
          <h2 id="facts">Now</h2>
          <Facts
            rows={[
              ['QPS', number(tablet.qps)],
              ['Lag', leads ? 'none: it leads' : seconds(tablet.lag)],
              ['Leads since', tablet.primary_since ? `${time(tablet.primary_since)} (${ago(tablet.primary_since)})` : ''],
              ['Disk', used === null ? '' : <Bar used={used} label={`${bytes(tablet.disk_free_bytes!)} free of ${bytes(tablet.disk_bytes!)}${tablet.disk_seconds_left === null ? '' : `, full in ${days(tablet.disk_seconds_left)}`}`} />],
              ['vttablet', tablet.version],
              ['Server', status?.version ? `${status.version} ${status.version_comment ?? ''}` : ''],
              ['Address', `${tablet.host}: gRPC ${tablet.grpc_port}, web ${tablet.web_port}`],
              ['MySQL', tablet.mysql],
              ['Tags', Object.entries(tablet.tags).map(([key, value]) => `${key}=${value}`).join(', ')],
              ['GTID position', <span class="mono wrap">{tablet.position || String(status?.replication_status?.position ?? '–')}</span>],
            ]}
          />
        </section>
        <section aria-labelledby="replication">
          <h2 id="replication">Replication</h2>
          {leads ? (
            <p>It is the primary: others follow it, it follows nobody.</p>
          ) : status?.replication_status ? (
            <>
              <Replication status={status.replication_status} />
              <p class="actions">
                <ActionButton asked={simple('start_replication', tablet)} label="Start replication" />
                <ActionButton asked={simple('stop_replication', tablet)} label="Stop replication" kind="careful" />
              </p>
            </>
          ) : data?.error || error ? (
            <Waiting error={data?.error ?? error} what="its status" again={again} />
          ) : status ? (
            <p>It follows nobody. <ActionButton asked={simple('start_replication', tablet)} label="Start replication" /></p>
          ) : (
            <Waiting what="its status" />
          )}
        </section>
      </div>
      {!tablet.connected && !leads && <p class="actions"><ActionButton asked={simple('delete_tablet', tablet)} label="Delete its record" kind="careful" /></p>}
      {data && (
        <details>
          <summary>All that it tells</summary>
          <Code label="record and status">{JSON.stringify({ record: data.record, status: data.status }, null, 2)}</Code>
        </details>
      )}
    </Page>
  );
}
