// The actions' dialogs: their titles and what they ask for.
import type { Shard, Tablet } from './api';
import { nameOf } from './advice';
import type { Asked, Input } from './dialog';
import { seconds } from './format';
import { store } from './store';

const TITLES: Record<string, string> = {
  planned_reparent: 'Move the primary',
  emergency_reparent: 'Emergency reparent',
  backup: 'Back up',
  restore: 'Restore from a backup',
  remove_backup: 'Delete a backup',
  change_type: 'Change the type',
  start_replication: 'Start replication',
  stop_replication: 'Stop replication',
  maintenance: 'Maintenance',
  apply_schema: 'Apply a schema change',
  apply_vschema: 'Apply a VSchema',
  execute_dba: 'Run a statement as DBA',
  ping: 'Ping',
  delete_tablet: 'Delete the record of a tablet',
  validate: 'Validate the cluster',
};
export const titleOf = (action: string) => TITLES[action] ?? action;

function candidates(shard: string): Input['choices'] {
  const fit = store.list().filter((tablet) => `${tablet.keyspace}/${tablet.shard}` === shard && tablet.type === 'replica' && tablet.connected);
  return [
    { value: '', label: 'the best one' },
    ...fit.map((tablet) => ({ value: tablet.alias, label: `${tablet.alias} (${tablet.cell}, lag ${seconds(tablet.lag)})` })),
  ];
}

export function plannedReparent(shard: string, to = ''): Asked {
  return {
    action: 'planned_reparent', title: `Move the primary of ${shard}`, arguments: { shard, new_primary: to },
    inputs: to ? [] : [{ name: 'new_primary', label: 'New primary', kind: 'choice', choices: candidates(shard), optional: true }],
  };
}
export function emergencyReparent(shard: string): Asked {
  return {
    action: 'emergency_reparent', title: `Emergency reparent of ${shard}`, arguments: { shard, new_primary: '', force: false },
    inputs: [
      { name: 'new_primary', label: 'New primary', kind: 'choice', choices: candidates(shard), optional: true },
      { name: 'force', label: 'Go on though transactions may be lost', kind: 'flag', hint: 'Only after a refusal has named what would be lost.' },
    ],
  };
}
export const backupShard = (shard: string): Asked => ({ action: 'backup', title: `Back up ${shard}`, arguments: { shard } });
export const backupTablet = (tablet: Tablet): Asked => ({
  action: 'backup', title: `Back up ${tablet.alias}`, arguments: { tablet: tablet.alias, allow_primary: false },
  inputs: tablet.type === 'primary' ? [{ name: 'allow_primary', label: 'Though it is the primary', kind: 'flag', hint: 'Clients share its disk with the backup.' }] : [],
});
export const restore = (alias: string, timestamp = ''): Asked => ({
  action: 'restore', title: `Restore ${alias} from a backup`, arguments: { tablet: alias, timestamp },
  inputs: timestamp ? [] : [{ name: 'timestamp', label: 'Newest backup not after', hint: 'Like 2026-11-27.191500; empty: the newest.', optional: true }],
});
export const changeType = (tablet: Tablet): Asked => ({
  action: 'change_type', title: `Change the type of ${tablet.alias}`, arguments: { tablet: tablet.alias, type: tablet.type === 'replica' ? 'rdonly' : 'replica' },
  inputs: [{
    name: 'type', label: 'New type', kind: 'choice',
    choices: [
      { value: 'replica', label: 'replica: serves reads, may become primary' },
      { value: 'rdonly', label: 'rdonly: for reports, never primary' },
      { value: 'spare', label: 'spare: follows, serves nothing' },
      { value: 'drained', label: 'drained: out of service for work on it' },
    ].filter((choice) => choice.value !== tablet.type),
  }],
});
export const maintenance = (name: string, on: boolean): Asked => ({
  action: 'maintenance', title: on ? `Maintenance of ${name === '*' ? 'the whole cluster' : name}` : `End the maintenance of ${name === '*' ? 'the whole cluster' : name}`,
  arguments: { name, on, why: '' },
  inputs: on ? [{ name: 'why', label: 'Why', hint: 'Others read it while nothing is healed.' }] : [],
});
export const applySchema = (keyspace: string): Asked => ({
  action: 'apply_schema', title: `Change the schema of ${keyspace}`, arguments: { keyspace, sql: '' },
  inputs: [{ name: 'sql', label: 'Statements', kind: 'lines', hint: 'DDL, separated by semicolons. It runs on every shard’s primary.' }],
});
export const applyVSchema = (keyspace: string, vschema: string): Asked => ({
  action: 'apply_vschema', title: `Change the VSchema of ${keyspace}`, arguments: { keyspace, vschema },
  inputs: [{ name: 'vschema', label: 'VSchema', kind: 'lines', hint: 'JSON; it replaces what is there.' }],
});
export const executeDba = (alias: string): Asked => ({
  action: 'execute_dba', title: `Run a statement on ${alias}`, arguments: { tablet: alias, sql: '', max_rows: '1000' },
  inputs: [
    { name: 'sql', label: 'Statement', kind: 'lines', hint: 'With all privileges, past vtgate.' },
    { name: 'max_rows', label: 'Rows at most' },
  ],
});
export const simple = (action: string, tablet: Tablet): Asked => ({ action, title: `${titleOf(action)}: ${tablet.alias}`, arguments: { tablet: tablet.alias } });
export const removeBackup = (shard: Shard, backup: string): Asked => ({ action: 'remove_backup', title: `Delete the backup ${backup}`, arguments: { shard: nameOf(shard), backup } });
