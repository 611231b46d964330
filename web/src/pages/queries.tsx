// The statements that cost most, as the vtgates count them.
import { useState } from 'preact/hooks';
import type { Statement, Vtgate } from '../api';
import { millis } from '../format';
import { Empty, Note, Page, TableBox, Waiting } from '../parts';
import { usePolled } from '../store';

interface Shape {
  text: string;
  keyspace: string;
  count: number;
  time: number; // nanoseconds, as the two below
  mean: number;
  longest: number;
  returned: number;
  affected: number;
  errors: number;
}
type Order = 'time' | 'mean' | 'longest' | 'count' | 'returned' | 'affected' | 'errors';
const COLUMNS: [Order, string, (value: number) => string][] = [
  ['time', 'Total time', (ns) => millis(ns / 1e6)],
  ['mean', 'Mean', (ns) => millis(ns / 1e6)],
  ['longest', 'Longest', (ns) => millis(ns / 1e6)],
  ['count', 'Runs', (n) => n.toLocaleString('en')],
  ['returned', 'Rows returned', (n) => n.toLocaleString('en')],
  ['affected', 'Rows changed', (n) => n.toLocaleString('en')],
  ['errors', 'Errors', (n) => n.toLocaleString('en')],
];
const SHOWN = 100;

// One shape may have run at several vtgates.
function gather(rows: Statement[]): Shape[] {
  const shapes = new Map<string, Shape>();
  for (const row of rows) {
    const key = `${row.Keyspace} ${row.Query}`;
    const shape = shapes.get(key) ?? { text: row.Query, keyspace: row.Keyspace, count: 0, time: 0, mean: 0, longest: 0, returned: 0, affected: 0, errors: 0 };
    shape.count += row.QueryCount;
    shape.time += row.Time;
    shape.mean = shape.time / Math.max(1, shape.count);
    shape.longest = Math.max(shape.longest, row.LongestTime);
    shape.returned += row.RowsReturned;
    shape.affected += row.RowsAffected;
    shape.errors += row.ErrorCount;
    shapes.set(key, shape);
  }
  return [...shapes.values()];
}

export function QueriesPage() {
  const { data, error, again } = usePolled<{ vtgates: Vtgate[] }>('api/vtgates', {}, 5);
  const [order, setOrder] = useState<Order>('time');
  const [find, setFind] = useState('');
  const gates = (data?.vtgates ?? []).filter((gate) => gate.query_stats);
  const silent = (data?.vtgates ?? []).filter((gate) => gate.error);
  const shapes = gather(gates.flatMap((gate) => gate.query_stats!));
  const needle = find.trim().toLowerCase();
  const fits = shapes.filter((shape) => !needle || shape.text.toLowerCase().includes(needle));
  const sorted = fits.sort((a, b) => b[order] - a[order] || b.time - a.time).slice(0, SHOWN);
  const failing = shapes.filter((shape) => shape.errors > 0).length;
  const total = shapes.reduce((sum, shape) => sum + shape.time, 0);
  return (
    <Page title="Queries" lead="Statements by shape, their values left out, since each vtgate started.">
      {!data && <Waiting error={error} what="the queries" again={again} />}
      {silent.map((gate) => <Note tone="warn" key={gate.address}>vtgate {gate.address} does not answer, so its statements are missing here: {gate.error}.</Note>)}
      {data && gates.length === 0 && (
        <Empty><p><strong>No vtgate tells its statements.</strong> {data.vtgates.length === 0 ? <>Start vtctld with <code>--vtgate-addresses=HOST:PORT</code> of each vtgate’s web port.</> : <>How many run at each tablet stands on the <a href="#/">cluster’s page</a>.</>}</p></Empty>
      )}
      {shapes.length > 0 && (failing
        ? <Note tone="warn"><strong>{failing} of {shapes.length} shapes ended in an error at least once.</strong> {order === 'errors' ? 'They stand first.' : <button type="button" class="link" onClick={() => setOrder('errors')}>Show them first</button>}</Note>
        : <Note tone="good"><strong>No statement ended in an error.</strong> {shapes.length} shapes have run.</Note>)}
      {gates.length > 0 && shapes.length === 0 && <Empty><p>No statement has run yet.</p></Empty>}
      {shapes.length > 0 && (
        <>
          <div class="filters" role="search">
            <label>Find <input type="search" placeholder="words of the statement" value={find} onInput={(event) => setFind(event.currentTarget.value)} /></label>
          </div>
          <TableBox label="statements">
            <thead>
              <tr>
                <th scope="col">Statement</th>
                <th scope="col" class="wide">Keyspace</th>
                {COLUMNS.map(([name, title]) => (
                  <th scope="col" key={name} class="num" aria-sort={name === order ? 'descending' : undefined}>
                    <button type="button" class="sort" onClick={() => setOrder(name)}>{title}{name === order ? ' ▾' : ''}</button>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {sorted.map((shape) => (
                <tr key={`${shape.keyspace} ${shape.text}`}>
                  <th scope="row" class="mono statement">{shape.text}</th>
                  <td class="wide">{shape.keyspace || '–'}</td>
                  {COLUMNS.map(([name, , show]) => (
                    <td key={name} class={`num ${name === 'errors' && shape.errors ? 'is-bad' : ''}`} title={name === 'time' && total ? `${Math.round((shape.time / total) * 100)} % of all time` : undefined}>{show(shape[name])}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </TableBox>
          {fits.length > SHOWN && <p class="dim">The first {SHOWN} of {fits.length}.</p>}
          {fits.length === 0 && <Empty><p>No statement has these words.</p></Empty>}
        </>
      )}
    </Page>
  );
}
