// A statement run on one tablet with all privileges.
import { useState } from 'preact/hooks';
import { ask, roleOf } from '../dialog';
import { Empty, Field, Note, Page } from '../parts';
import { store, useStore } from '../store';

export function SqlPage({ alias }: { alias?: string }) {
  useStore();
  const tablets = store.list().filter((tablet) => tablet.connected);
  const [chosen, setChosen] = useState(alias ?? tablets.find((tablet) => tablet.type === 'replica')?.alias ?? tablets[0]?.alias ?? '');
  const [sql, setSql] = useState('SHOW PROCESSLIST');
  const may = store.may(roleOf('execute_dba'));
  const tablet = store.tablets.get(chosen);
  return (
    <Page title="DBA statement" lead="Runs on one tablet’s server with all privileges, past vtgate. For looking into a server; data is changed through vtgate.">
      {tablets.length === 0 ? (
        <Empty><p>No tablet answers, so there is nothing to run a statement on. Look at the <a href="#/">cluster</a>.</p></Empty>
      ) : (
        <form class="narrow" onSubmit={(event) => { event.preventDefault(); ask({ action: 'execute_dba', title: `Run a statement on ${chosen}`, arguments: { tablet: chosen, sql, max_rows: '1000' } }); }}>
          {tablet?.healthy ? <Note tone="good">{chosen} is healthy.</Note> : <Note tone="warn">{chosen} is not healthy: the statement may fail or read old data.</Note>}
          <Field label="Tablet">
            <select value={chosen} onChange={(event) => setChosen(event.currentTarget.value)}>
              {tablets.map((other) => <option value={other.alias} key={other.alias}>{other.alias} ({other.type} of {other.keyspace}/{other.shard})</option>)}
            </select>
          </Field>
          <Field label="Statement"><textarea rows={5} spellcheck={false} required value={sql} onInput={(event) => setSql(event.currentTarget.value)} /></Field>
          <p class="actions"><button type="submit" class="primary" disabled={!may}>Show the plan</button> {!may && <span class="dim">You need the role {roleOf('execute_dba')}.</span>}</p>
        </form>
      )}
    </Page>
  );
}
