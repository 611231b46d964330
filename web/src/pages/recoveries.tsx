// What vtorc sees, what it did and how long each step took.
import type { Recovery, Vtorc } from '../api';
import { maintenance } from '../asks';
import { ActionButton } from '../dialog';
import { ago, clock, millis, time } from '../format';
import { Empty, Note, Page, Pill, TableBox, Waiting } from '../parts';
import { usePolled, useStore } from '../store';

// Attempts so near to a success are of the same trouble: several vtorcs begin, and one is first.
const SAME_MS = 10_000;

// Each stage as a bar from its beginning to the next one's: where the time went is seen at a glance.
function Timeline({ recovery }: { recovery: Recovery }) {
  const end = Math.max(recovery.ended_unix_ms ? recovery.ended_unix_ms - recovery.began_unix_ms : 0, ...recovery.stages.map((stage) => stage.after_ms), 1);
  const stages = recovery.stages.map((stage, n) => ({ ...stage, until: Math.max(stage.after_ms, recovery.stages[n + 1]?.after_ms ?? end) }));
  const row = 26, left = 110, width = 720, right = 90;
  const x = (ms: number) => left + (ms / end) * (width - left - right);
  return (
    <figure class="timeline">
      <svg viewBox={`0 0 ${width} ${stages.length * row + 24}`} role="img" aria-label={`stages of the recovery of ${recovery.shard}; the list below tells the same`}>
        {[0, 0.25, 0.5, 0.75, 1].map((part) => (
          <g key={part}>
            <line x1={x(end * part)} x2={x(end * part)} y1="0" y2={stages.length * row} class="grid" />
            <text x={x(end * part)} y={stages.length * row + 16} text-anchor="middle" class="tick">{millis(Math.round(end * part))}</text>
          </g>
        ))}
        {stages.map((stage, n) => (
          <g key={n}>
            <text x={left - 8} y={n * row + 17} text-anchor="end">{stage.stage}</text>
            <rect x={x(stage.after_ms)} y={n * row + 5} width={Math.max(3, x(stage.until) - x(stage.after_ms))} height={row - 10} rx="3" />
            <text x={Math.min(x(stage.until) + 6, width - right + 6)} y={n * row + 17} class="tick">{millis(stage.until - stage.after_ms)}</text>
          </g>
        ))}
      </svg>
      <details>
        <summary>What it told</summary>
        <ol class="lines">
          {recovery.stages.map((stage, n) => <li key={n}><span class="mono">{clock(stage.unix_ms)} +{millis(stage.after_ms)}</span> <b>{stage.stage}</b> {stage.text}</li>)}
        </ol>
      </details>
    </figure>
  );
}

export function RecoveriesPage() {
  const { topology } = useStore();
  const { data, error, again } = usePolled<{ vtorcs: Vtorc[] }>('api/vtorcs', {}, 2);
  const orcs = data?.vtorcs ?? [];
  const alive = orcs.filter((orc) => !orc.error);
  const problems = alive.flatMap((orc) => (orc.problems ?? []).flatMap((shard) => shard.problems.map((problem) => ({ ...problem, shard: shard.shard }))));
  const seen = new Map(problems.map((problem) => [`${problem.shard} ${problem.analysis} ${problem.tablet}`, problem]));
  const recoveries = alive.flatMap((orc) => (orc.recoveries ?? []).map((recovery) => ({ ...recovery, orc: orc.address }))).sort((a, b) => b.began_unix_ms - a.began_unix_ms).slice(0, 30);
  const left = (one: Recovery) => one.error !== '' && recoveries.some((other) => other.shard === one.shard && !other.error && other.ended_unix_ms > 0
    && other.began_unix_ms < one.ended_unix_ms + SAME_MS && other.ended_unix_ms > one.began_unix_ms - SAME_MS);
  const all = topology.maintenance['*'] !== undefined;
  return (
    <Page
      title="Failovers"
      lead="vtorc watches every shard and heals it by itself."
      actions={<ActionButton asked={maintenance('*', !all)} label={all ? 'End maintenance' : 'Maintenance of all'} />}
    >
      {!data && <Waiting error={error} what="vtorc's view" again={again} />}
      {data && orcs.length === 0 && (
        <Note tone="warn"><strong>This vtctld knows no vtorc.</strong> Start vtctld with --vtorc-addresses=HOST:PORT of each vtorc’s web port. Without a vtorc nobody replaces a primary that dies.</Note>
      )}
      {orcs.filter((orc) => orc.error).map((orc) => <Note tone={alive.length ? 'warn' : 'bad'} key={orc.address}>vtorc at {orc.address} does not answer: {orc.error}. {alive.length ? 'Another one heals; start it again.' : 'Nobody heals: start it again.'}</Note>)}
      {alive.length > 0 && seen.size === 0 && <Note tone="good"><strong>vtorc sees no problem.</strong> {orcs.length === 1 ? 'One watches; run a second one, so that healing goes on when it is lost.' : `${alive.length} of ${orcs.length} watch.`}</Note>}
      {seen.size > 0 && (
        <TableBox label="problems">
          <thead><tr><th scope="col">Shard</th><th scope="col">Problem</th><th scope="col">Tablet</th><th scope="col">Why</th><th scope="col">What vtorc does</th></tr></thead>
          <tbody>
            {[...seen.values()].map((problem) => (
              <tr key={`${problem.shard}${problem.analysis}${problem.tablet}`}>
                <th scope="row">{problem.shard}</th>
                <td><Pill tone="bad">{problem.analysis}</Pill></td>
                <td><a href={`#/tablet/${problem.tablet}`}>{problem.tablet}</a></td>
                <td>{problem.why}</td>
                <td>{problem.remedy}</td>
              </tr>
            ))}
          </tbody>
        </TableBox>
      )}
      {Object.entries(topology.maintenance).map(([name, why]) => (
        <Note tone="info" key={name}>{name === '*' ? 'The whole cluster' : name} is in maintenance: {why}. Nothing is healed there. <ActionButton asked={maintenance(name, false)} label="End it" /></Note>
      ))}
      {alive.length > 0 && (
        <section aria-labelledby="recoveries">
          <h2 id="recoveries">What it did</h2>
          {recoveries.length === 0 && <Empty><p>Nothing had to be healed so far.</p></Empty>}
          {recoveries.map((recovery, n) => (
            <details class="recovery" key={`${recovery.orc} ${recovery.id}`} open={n === recoveries.findIndex((other) => other.successor)}>
              <summary>
                {left(recovery) ? <Pill tone="plain">healed meanwhile</Pill> : recovery.error ? <Pill tone="bad">failed</Pill> : recovery.ended_unix_ms ? <Pill tone="good">healed</Pill> : <Pill tone="info">under way</Pill>}{' '}
                <b>{recovery.shard}</b> {recovery.analysis} of {recovery.tablet}{recovery.successor && recovery.successor !== recovery.tablet ? `: now led by ${recovery.successor}` : ''}
                <span class="dim"> {time(recovery.began_unix_ms)}, {ago(recovery.began_unix_ms)}{recovery.ended_unix_ms > 0 && `, in ${millis(recovery.ended_unix_ms - recovery.began_unix_ms)}`} · {recovery.orc}</span>
              </summary>
              {recovery.error && <Note tone="warn">{recovery.error}</Note>}
              {recovery.stages.length > 0 && <Timeline recovery={recovery} />}
            </details>
          ))}
        </section>
      )}
    </Page>
  );
}
