// The map: keyspaces, shards and their tablets, and before all else what needs a person.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Shard, Tablet } from '../api';
import { type Finding, findings, lastFailover, maintenanceOf, nameOf } from '../advice';
import { emergencyReparent, maintenance, plannedReparent, titleOf } from '../asks';
import { ActionButton } from '../dialog';
import { ago, bytes, millis, number, position, seconds, share } from '../format';
import { Bar, Empty, Memo, Note, Page, Pill, TableBox, type Tone } from '../parts';
import { store, useStore } from '../store';

// With more tablets than this, shards are closed until one is opened or needs a look.
const OPEN_TABLETS = 60;
const FINDINGS_SHOWN = 12;
// So many shards are drawn at first, and more when one comes near their end: what is not seen costs no time.
const SHARDS_AT_ONCE = 40;

export function stateOf(tablet: Tablet): { tone: Tone; text: string } {
  if (!tablet.connected) return { tone: 'bad', text: 'away' };
  if (tablet.healthy) return { tone: 'good', text: 'serving' };
  if (['backup', 'restore'].includes(tablet.type)) return { tone: 'info', text: tablet.type === 'backup' ? 'backing up' : 'restoring' };
  if (['drained', 'spare'].includes(tablet.type)) return { tone: 'plain', text: 'out of service' };
  return { tone: 'bad', text: 'not serving' };
}

function asksFor(finding: Finding) {
  const action = finding.action!;
  const shard = String(action.arguments.shard ?? '');
  if (action.name === 'planned_reparent') return plannedReparent(shard);
  if (action.name === 'emergency_reparent') return emergencyReparent(shard);
  if (action.name === 'maintenance') return maintenance(String(action.arguments.name), false);
  return { action: action.name, title: titleOf(action.name), arguments: action.arguments };
}

export function Findings({ list }: { list: Finding[] }) {
  const [all, setAll] = useState(false);
  const shown = all ? list : list.slice(0, FINDINGS_SHOWN);
  return (
    <section aria-labelledby="todo">
      <h2 id="todo">What should be done</h2>
      <ul class="findings">
        {shown.map((finding) => (
          <li key={finding.key} class={finding.tone}>
            <div>
              <Pill tone={finding.tone}>{finding.href ? <a href={finding.href}>{finding.where}</a> : finding.where}</Pill>
              <p><strong>{finding.what}</strong> {finding.todo}</p>
            </div>
            {finding.action && <ActionButton asked={asksFor(finding)} label={finding.action.label} />}
          </li>
        ))}
      </ul>
      {list.length > shown.length && <button type="button" class="link" onClick={() => setAll(true)}>Show all {list.length}</button>}
    </section>
  );
}

function Row({ tablet, leads }: { tablet: Tablet; leads: boolean }) {
  const state = stateOf(tablet);
  const used = share(tablet.disk_bytes, tablet.disk_free_bytes);
  return (
    <tr class={leads ? 'leads' : ''}>
      <th scope="row"><a href={`#/tablet/${tablet.alias}`}>{tablet.alias}</a></th>
      <td class="wide">{tablet.cell}</td>
      <td>{leads ? <strong>primary</strong> : tablet.type}</td>
      <td><Pill tone={state.tone} title={tablet.error}>{state.text}</Pill></td>
      <td class="num">{seconds(tablet.lag)}</td>
      <td class="num wide">{tablet.connected ? number(tablet.qps) : '–'}</td>
      <td class="mono wide" title={tablet.position}>{position(tablet.position)}</td>
      <td class="wide">{used === null ? '–' : <Bar used={used} label={`${bytes(tablet.disk_free_bytes!)} free`} />}</td>
      <td class="wide">{tablet.version || '–'}</td>
    </tr>
  );
}

// A closed shard still shows each of its tablets.
function Chip({ alias, letter, tone, text }: { alias: string; letter: string; tone: Tone; text: string }) {
  return <a class={`chip ${tone}`} href={`#/tablet/${alias}`} title={`${alias} ${text}`} aria-label={`${alias}, ${text}`}>{letter}</a>;
}

function ShardBlock({ shard, tablets, open, toggle }: { shard: Shard; tablets: Tablet[]; open: boolean; toggle: () => void }) {
  const name = nameOf(shard);
  const { topology } = store;
  const healthy = tablets.filter((tablet) => tablet.healthy).length;
  const primary = tablets.find((tablet) => tablet.alias === shard.primary);
  const held = maintenanceOf(topology.maintenance, shard) !== undefined;
  const tone: Tone = !primary?.healthy ? 'bad' : healthy < tablets.length ? 'warn' : 'good';
  const id = `shard-${name.replace('/', '-')}`;
  const qps = tablets.reduce((sum, tablet) => sum + tablet.qps, 0);
  return (
    <section class="shard">
      <div class="bar-of-shard">
        <h3>
          <button type="button" class="fold" aria-expanded={open} aria-controls={id} onClick={toggle}>
            <span class="arrow" aria-hidden="true">{open ? '▾' : '▸'}</span>
            {name}
          </button>
        </h3>
        <Pill tone={tone}>{healthy} of {tablets.length} healthy</Pill>
        {held && <Pill tone="info">maintenance</Pill>}
        <span class="dim">{shard.primary ? <>primary <a href={`#/tablet/${shard.primary}`}>{shard.primary}</a></> : 'no primary'} · {number(qps)} QPS</span>
        <span class="spacer" />
        {!open && (
          <span class="chips">
            {tablets.map((tablet) => {
              const state = stateOf(tablet);
              const letter = tablet.alias === shard.primary ? 'P' : tablet.type[0]!.toUpperCase();
              return <Memo key={tablet.alias} alias={tablet.alias} letter={letter} tone={state.tone} text={`${tablet.type}, ${state.text}`} render={Chip} />;
            })}
          </span>
        )}
        {open && (
          <span class="actions">
            <ActionButton asked={plannedReparent(name)} label="Move primary" />
            <ActionButton asked={maintenance(held ? Object.keys(topology.maintenance).find((key) => [name, shard.keyspace, '*'].includes(key))! : name, !held)} label={held ? 'End maintenance' : 'Maintenance'} />
            <a class="button" href={`#/backups/${name}`}>Backups</a>
          </span>
        )}
      </div>
      {open && (
        <div id={id}>
          {tablets.length === 0 ? (
            <Empty><p>No tablets. Start one: <code>vttablet --init-keyspace {shard.keyspace} --init-shard {shard.name}</code></p></Empty>
          ) : (
            <TableBox label={`tablets of ${name}`}>
              <thead>
                <tr>
                  <th scope="col">Tablet</th><th scope="col" class="wide">Cell</th><th scope="col">Role</th><th scope="col">State</th>
                  <th scope="col" class="num">Lag</th><th scope="col" class="num wide">QPS</th><th scope="col" class="wide">GTID position</th><th scope="col" class="wide">Disk</th><th scope="col" class="wide">Version</th>
                </tr>
              </thead>
              <tbody>
                {tablets.map((tablet) => (
                  <Memo key={tablet.alias} tablet={tablet} leads={tablet.alias === shard.primary} render={Row} />
                ))}
              </tbody>
            </TableBox>
          )}
        </div>
      )}
    </section>
  );
}

function More({ left, show }: { left: number; show: () => void }) {
  const end = useRef<HTMLParagraphElement>(null);
  useEffect(() => {
    const observer = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && show(), { rootMargin: '400px' });
    observer.observe(end.current!);
    return () => observer.disconnect();
  }, [left]);
  return <p ref={end}><button type="button" class="link" onClick={show}>Show the other {left} shards</button></p>;
}

export function ClusterPage() {
  const { topology, vtorcs } = useStore();
  const tablets = store.list();
  const [text, setText] = useState('');
  const [cell, setCell] = useState('');
  const [trouble, setTrouble] = useState(false);
  const [limit, setLimit] = useState(SHARDS_AT_ONCE);
  const [turned, setTurned] = useState<Record<string, boolean>>({});
  const found = useMemo(() => findings(topology, tablets, vtorcs), [topology, tablets, vtorcs]);
  const last = lastFailover(vtorcs);

  if (!topology.cells.length && !topology.keyspaces.length) {
    return (
      <Page title="Cluster">
        {topology.problems.map((problem) => <Note tone="bad" key={problem}>{problem}</Note>)}
        <Empty>
          <p><strong>The topology is empty.</strong> Make a cell and a keyspace, then start tablets:</p>
          <pre class="code">vtctldclient AddCellInfo --root /vitess/zone1 --server-address HOST:2379 zone1{'\n'}vtctldclient CreateKeyspace --durability-policy semi_sync commerce</pre>
        </Empty>
      </Page>
    );
  }

  const byShard = new Map<string, Tablet[]>();
  for (const tablet of tablets) {
    const name = `${tablet.keyspace}/${tablet.shard}`;
    const list = byShard.get(name);
    if (list) list.push(tablet);
    else byShard.set(name, [tablet]);
  }
  const needle = text.trim().toLowerCase();
  const fits = (tablet: Tablet) =>
    (!cell || tablet.cell === cell) &&
    (!trouble || !tablet.healthy) &&
    (!needle || `${tablet.alias} ${tablet.keyspace}/${tablet.shard} ${tablet.type} ${tablet.host} ${tablet.version}`.toLowerCase().includes(needle));
  const filtered = Boolean(needle || cell || trouble);
  const many = tablets.length > OPEN_TABLETS;
  const healthy = tablets.filter((tablet) => tablet.healthy).length;
  const qps = tablets.reduce((sum, tablet) => sum + tablet.qps, 0);
  let drawn = 0;
  let left = 0;
  const lags = tablets.map((tablet) => tablet.lag ?? 0);

  return (
    <Page title="Cluster" actions={<ActionButton asked={{ action: 'validate', title: 'Validate the cluster', arguments: {} }} label="Validate" />}>
      {found.length === 0 ? (
        <Note tone="good"><strong>Everything is healthy.</strong> Nothing needs to be done.</Note>
      ) : (
        <Findings list={found} />
      )}
      {last && (
        <p class="dim last">Last failover: <a href="#/recoveries">{last.shard}</a>, {ago(last.began_unix_ms)}, in {millis(last.ended_unix_ms - last.began_unix_ms)}: <a href={`#/tablet/${last.successor}`}>{last.successor}</a> took over from {last.tablet}.</p>
      )}
      <ul class="tiles">
        <li><b>{topology.cells.length}</b> {topology.cells.length === 1 ? 'cell' : 'cells'}</li>
        <li><b>{topology.keyspaces.length}</b> {topology.keyspaces.length === 1 ? 'keyspace' : 'keyspaces'}</li>
        <li><b>{topology.shards.length}</b> {topology.shards.length === 1 ? 'shard' : 'shards'}</li>
        <li><b>{healthy}<span class="of">/{tablets.length}</span></b> tablets healthy</li>
        <li><b>{number(qps)}</b> queries per second</li>
        <li><b>{seconds(Math.max(0, ...lags))}</b> largest lag</li>
      </ul>
      <div class="filters" role="search">
        <label>Find <input type="search" placeholder="tablet, shard, role, host" value={text} onInput={(event) => setText(event.currentTarget.value)} /></label>
        {topology.cells.length > 1 && (
          <label>Cell{' '}
            <select value={cell} onChange={(event) => setCell(event.currentTarget.value)}>
              <option value="">all</option>
              {topology.cells.map((other) => <option key={other.name}>{other.name}</option>)}
            </select>
          </label>
        )}
        <label class="flag"><input type="checkbox" checked={trouble} onChange={(event) => setTrouble(event.currentTarget.checked)} /> only what is not healthy</label>
      </div>
      {topology.keyspaces.map((keyspace) => {
        const shards = topology.shards.filter((shard) => shard.keyspace === keyspace.name);
        const shown = shards
          .map((shard) => {
            const all = byShard.get(nameOf(shard)) ?? [];
            const list = (filtered ? all.filter(fits) : all).slice().sort((a, b) => Number(b.alias === shard.primary) - Number(a.alias === shard.primary) || a.alias.localeCompare(b.alias));
            return { shard, list };
          })
          .filter(({ list }) => !filtered || list.length > 0);
        if (filtered && shown.length === 0) return null;
        const begin = drawn;
        drawn = Math.min(limit, drawn + shown.length);
        left += shown.length - (drawn - begin);
        if (drawn === begin && shown.length > 0) return null;
        return (
          <section key={keyspace.name} aria-label={`keyspace ${keyspace.name}`}>
            <h2>
              {keyspace.name} <small>{shards.length === 1 ? '1 shard' : `${shards.length} shards`} · durability {keyspace.durability} · <a href={`#/schema/${keyspace.name}`}>schema</a></small>
            </h2>
            {shown.length === 0 && <Empty><p>No shards yet: they come with the first tablet, or by <code>vtctldclient CreateShard {keyspace.name}/0</code></p></Empty>}
            {shown.slice(0, drawn - begin).map(({ shard, list }) => {
              const name = nameOf(shard);
              const open = turned[name] ?? (!many || (filtered && shown.length <= 5));
              return <ShardBlock key={name} shard={shard} tablets={list} open={open} toggle={() => setTurned({ ...turned, [name]: !open })} />;
            })}
          </section>
        );
      })}
      {left > 0 && <More left={left} show={() => setLimit(limit + SHARDS_AT_ONCE)} />}
      {filtered && !tablets.some(fits) && <Empty><p>Nothing fits. <button type="button" class="link" onClick={() => { setText(''); setCell(''); setTrouble(false); }}>Show everything</button></p></Empty>}
    </Page>
  );
}
