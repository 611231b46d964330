// Who is connected to the vtgates, what pins them to one connection, and who waits for a primary.
import { useState } from 'preact/hooks';
import type { Vtgate } from '../api';
import { number } from '../format';
import { Empty, Note, Page, Pill, TableBox, Waiting } from '../parts';
import { usePolled } from '../store';

export function SessionsPage() {
  const { data, error, again } = usePolled<{ vtgates: Vtgate[] }>('api/vtgates', {}, 2);
  const [pinned, setPinned] = useState(false);
  const gates = data?.vtgates ?? [];
  const waiting = gates.reduce((sum, gate) => sum + (gate.buffer?.waiting ?? 0), 0);
  const held = gates.reduce((sum, gate) => sum + (gate.sessions ?? []).filter((session) => session.pinned).length, 0);
  return (
    <Page title="Sessions" lead="Clients at the vtgates. A pinned session keeps a server connection to itself until what pins it ends.">
      {!data && <Waiting error={error} what="the sessions" again={again} />}
      {data && gates.length === 0 && <Empty><p><strong>This vtctld knows no vtgate.</strong> Start vtctld with <code>--vtgate-addresses=HOST:PORT</code> of each vtgate’s web port.</p></Empty>}
      {gates.length > 0 && (waiting > 0
        ? <Note tone="warn"><strong>{waiting === 1 ? 'One request waits' : `${waiting} requests wait`} for a primary.</strong> They go on when one serves; look at the <a href="#/">cluster</a> if it takes longer than seconds.</Note>
        : gates.some((gate) => !gate.error) && <Note tone="good"><strong>No request waits for a primary.</strong> {held === 0 ? 'No session is pinned.' : held === 1 ? 'One session is pinned.' : `${held} sessions are pinned.`}</Note>)}
      {held > 0 && <label class="flag"><input type="checkbox" checked={pinned} onChange={(event) => setPinned(event.currentTarget.checked)} /> only pinned ones</label>}
      {gates.map((gate) => {
        const sessions = (gate.sessions ?? []).filter((session) => !pinned || session.pinned);
        return (
          <section key={gate.address} aria-label={`vtgate ${gate.address}`}>
            <h2>vtgate {gate.address}</h2>
            {gate.error && <Note tone="bad">It does not answer: {gate.error}. Clients that it served go to another one; start it again.</Note>}
            {gate.buffer && (
              <ul class="tiles">
                <li><b>{gate.buffer.waiting}<span class="of">/{gate.buffer.limit}</span></b> requests wait now</li>
                <li><b>{number(gate.buffer.buffered)}</b> have waited so far</li>
                <li><b>{number(gate.buffer.released)}</b> went on</li>
                <li><b>{number(gate.buffer.refused)}</b> found no room</li>
                <li><b>{number(gate.buffer.expired)}</b> waited in vain</li>
              </ul>
            )}
            {gate.sessions && sessions.length === 0 && <Empty><p>{pinned ? 'No session is pinned.' : 'No client is connected.'}</p></Empty>}
            {sessions.length > 0 && (
              <TableBox label={`sessions of ${gate.address}`}>
                <thead><tr><th scope="col">Session</th><th scope="col">User</th><th scope="col">From</th><th scope="col">Target</th><th scope="col">State</th><th scope="col">Pinned by</th><th scope="col">Statement</th></tr></thead>
                <tbody>
                  {sessions.slice(0, 500).map((session) => (
                    <tr key={session.id}>
                      <th scope="row">{session.id}</th>
                      <td>{session.user}</td>
                      <td>{session.host}</td>
                      <td>{session.target || '–'}</td>
                      <td>{session.state}</td>
                      <td>{session.pinned ? <Pill tone="warn">{session.pinned}</Pill> : '–'}</td>
                      <td class="clip mono" title={session.statement}>{session.statement || '–'}</td>
                    </tr>
                  ))}
                </tbody>
              </TableBox>
            )}
            {sessions.length > 500 && <p class="dim">The first 500 of {sessions.length}.</p>}
          </section>
        );
      })}
    </Page>
  );
}
