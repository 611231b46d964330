// Tables of a keyspace, their definitions and sizes, and its VSchema.
import { applySchema, applyVSchema } from '../asks';
import { ActionButton } from '../dialog';
import { bytes } from '../format';
import { Code, Empty, Note, Page, TableBox, Waiting } from '../parts';
import { store, usePolled, useStore } from '../store';

interface Definition {
  name: string;
  schema: string;
  type: string;
  columns: string[];
  primary_key_columns: string[];
  data_length: string;
  row_count: string;
}
interface Answer {
  table_definitions: Definition[];
}
interface VSchema {
  sharded?: boolean;
  tables?: Record<string, unknown>;
  vindexes?: Record<string, unknown>;
}

export function SchemaPage({ keyspace, table }: { keyspace?: string; table?: string }) {
  const { topology } = useStore();
  const chosen = keyspace ?? topology.keyspaces[0]?.name;
  const shards = topology.shards.filter((shard) => shard.keyspace === chosen);
  const source = shards.map((shard) => store.tablets.get(shard.primary)).find((tablet) => tablet?.connected)
    ?? store.list().find((tablet) => tablet.keyspace === chosen && tablet.connected);
  const schema = usePolled<Answer>(source ? 'api/schema' : null, { tablet: source?.alias ?? '' });
  const vschema = usePolled<VSchema>(chosen ? 'api/vschema' : null, { keyspace: chosen ?? '' });
  if (!chosen) {
    return <Page title="Schema"><Empty><p>There is no keyspace yet. Make one: <code>vtctldclient CreateKeyspace commerce</code></p></Empty></Page>;
  }
  const tables = schema.data?.table_definitions ?? [];
  const one = tables.find((definition) => definition.name === table);
  const routed = new Set(Object.keys(vschema.data?.tables ?? {}));
  const missing = vschema.data?.sharded ? tables.filter((definition) => !routed.has(definition.name)) : [];
  const withoutKey = tables.filter((definition) => definition.type === 'BASE TABLE' && definition.primary_key_columns.length === 0);
  return (
    <Page
      title={one ? `${chosen}.${one.name}` : `Schema of ${chosen}`}
      lead={one ? <a href={`#/schema/${chosen}`}>All tables of {chosen}</a> : source && <>As {source.alias} has it.</>}
      actions={<ActionButton asked={applySchema(chosen)} label="Change schema" />}
    >
      {topology.keyspaces.length > 1 && !one && (
        <nav aria-label="Keyspaces" class="tabs">
          {topology.keyspaces.map((other) => <a key={other.name} href={`#/schema/${other.name}`} aria-current={other.name === chosen ? 'page' : undefined}>{other.name}</a>)}
        </nav>
      )}
      {!source && <Note tone="bad">No tablet of {chosen} answers, so its schema is not known. Look at the <a href="#/">cluster</a> first.</Note>}
      {source && !schema.data && <Waiting error={schema.error} what="the schema" again={schema.again} />}
      {one ? (
        <>
          <p>{one.type === 'VIEW' ? 'View' : <>Table of about {Number(one.row_count).toLocaleString('en')} rows, {bytes(Number(one.data_length))}</>}, primary key {one.primary_key_columns.join(', ') || <b>none</b>}.</p>
          <Code label="definition">{one.schema.replaceAll('{{.DatabaseName}}', `vt_${chosen}`)}</Code>
        </>
      ) : (
        <>
          {schema.data && withoutKey.length === 0 && missing.length === 0 && tables.length > 0 && <Note tone="good">All tables have a primary key{vschema.data?.sharded ? ' and stand in the VSchema' : ''}.</Note>}
          {withoutKey.length > 0 && <Note tone="warn">Without a primary key replicas apply changes slowly: {withoutKey.map((definition) => definition.name).join(', ')}. Add one.</Note>}
          {missing.length > 0 && <Note tone="warn">Not in the VSchema, so vtgate cannot tell their shard: {missing.map((definition) => definition.name).join(', ')}.</Note>}
          {schema.data && tables.length === 0 && <Empty><p>{chosen} has no tables. Use “Change schema” to make the first one.</p></Empty>}
          {tables.length > 0 && (
            <TableBox label={`tables of ${chosen}`}>
              <thead><tr><th scope="col">Table</th><th scope="col">Kind</th><th scope="col">Primary key</th><th scope="col" class="num">Columns</th><th scope="col" class="num">Rows, about</th><th scope="col" class="num">Size</th></tr></thead>
              <tbody>
                {tables.map((definition) => (
                  <tr key={definition.name}>
                    <th scope="row"><a href={`#/schema/${chosen}/${encodeURIComponent(definition.name)}`}>{definition.name}</a></th>
                    <td>{definition.type === 'VIEW' ? 'view' : 'table'}</td>
                    <td>{definition.primary_key_columns.join(', ') || '–'}</td>
                    <td class="num">{definition.columns.length}</td>
                    <td class="num">{Number(definition.row_count).toLocaleString('en')}</td>
                    <td class="num">{bytes(Number(definition.data_length))}</td>
                  </tr>
                ))}
              </tbody>
            </TableBox>
          )}
          <section aria-labelledby="vschema">
            <div class="with-actions">
              <h2 id="vschema">VSchema</h2>
              {vschema.data && <ActionButton asked={applyVSchema(chosen, JSON.stringify(vschema.data, null, 2))} label="Change VSchema" />}
            </div>
            {!vschema.data ? <Waiting error={vschema.error} what="the VSchema" again={vschema.again} /> : <Code label="VSchema as JSON">{JSON.stringify(vschema.data, null, 2)}</Code>}
          </section>
        </>
      )}
    </Page>
  );
}
