// What vtctld's /api/ answers; src/console/README.md tells the same for other readers.

export interface Tablet {
  alias: string;
  cell: string;
  keyspace: string;
  shard: string;
  type: string; // "primary", "replica", ...
  serving: boolean;
  healthy: boolean; // may be asked now
  connected: boolean; // vtctld holds a health stream to it
  host: string;
  web_port: number;
  grpc_port: number;
  mysql: string; // "host:port"
  qps: number;
  lag: number | null; // seconds; null: a primary, or not known
  position: string;
  error: string;
  primary_since: number | null; // ms since 1970
  version: string;
  disk_bytes: number | null;
  disk_free_bytes: number | null;
  disk_seconds_left: number | null; // until it is full, at the rate of the last hours; null: it does not fill
  tags: Record<string, string>;
}
export interface Shard {
  keyspace: string;
  name: string;
  primary: string; // alias; empty: none
  primary_since: number | null;
  serving: boolean;
}
export interface Keyspace {
  name: string;
  type: string;
  durability: string;
}
export interface Cell {
  name: string;
  address: string;
  root: string;
}
export interface Topology {
  cells: Cell[];
  keyspaces: Keyspace[];
  shards: Shard[];
  maintenance: Record<string, string>; // "*", keyspace or shard: why
  problems: string[];
}
export interface Snapshot extends Topology {
  tablets: Tablet[];
}
export interface Operation {
  id: number;
  action: string;
  target: string;
  command: string;
  who: string;
  state: 'running' | 'done' | 'failed';
  began: number;
  ended: number | null;
  error: string;
  line_count: number;
  last_line: string;
  lines?: string[];
  cut?: boolean;
}
export interface Plan {
  target: string;
  steps: string[];
  warnings: string[];
  refused: string;
  confirm: string;
  command: string;
}
export type Arguments = Record<string, string | boolean>;
export interface Me {
  name: string;
  roles: string[];
  actions: Record<string, string>; // the role that each needs
  cell: string;
  vtorcs: string[];
  vtgates: string[];
}
export interface Problem {
  analysis: string;
  tablet: string;
  why: string;
  remedy: string;
}
export interface Stage {
  unix_ms: number;
  after_ms: number;
  stage: string;
  text: string;
}
export interface Recovery {
  id: number;
  shard: string;
  analysis: string;
  remedy: string;
  tablet: string;
  successor: string;
  error: string;
  began_unix_ms: number;
  ended_unix_ms: number; // 0: under way
  stages: Stage[];
}
export interface Vtorc {
  address: string;
  error?: string;
  problems?: { shard: string; primary: string; error: string; maintenance: string; problems: Problem[] }[];
  recoveries?: Recovery[];
  timeline?: { unix_ms: number; shard: string; text: string }[];
}
export interface Session {
  id: string;
  user: string;
  host: string;
  target: string;
  state: string;
  pinned: string;
  statement: string;
}
export interface BufferNow {
  waiting: number;
  bytes: number;
  limit: number;
  buffered: number;
  released: number;
  refused: number;
  expired: number;
}
// One shape of statements, in Vitess's words; times in nanoseconds.
export interface Statement {
  Query: string;
  Keyspace: string;
  QueryCount: number;
  Time: number;
  LongestTime: number;
  RowsReturned: number;
  RowsAffected: number;
  ErrorCount: number;
}
export interface Vtgate {
  address: string;
  error?: string;
  sessions?: Session[];
  buffer?: BufferNow;
  query_stats?: Statement[];
}

// Below the page's own address, whatever prefix a proxy puts before it.
function address(path: string): string {
  return new URL(path, document.baseURI).href;
}

async function read<T>(response: Response): Promise<T> {
  const text = await response.text();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error(response.ok ? 'vtctld answered something else than JSON' : text.trim() || response.statusText);
  }
  if (!response.ok) throw new Error((json as { error?: string }).error ?? response.statusText);
  return json as T;
}

export async function get<T>(path: string, query: Record<string, string> = {}): Promise<T> {
  const search = new URLSearchParams(query).toString();
  return read<T>(await fetch(address(search ? `${path}?${search}` : path)));
}

export async function post<T>(path: string, body: unknown): Promise<T> {
  return read<T>(
    await fetch(address(path), {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    }),
  );
}

export function events(): EventSource {
  return new EventSource(address('api/events'));
}
