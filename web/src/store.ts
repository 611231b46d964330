// The cluster as the pages see it, fed by the stream of news; those who show it are told once a frame.
import { useEffect, useReducer } from 'preact/hooks';
import { type Me, type Operation, type Snapshot, type Tablet, type Topology, type Vtorc, events, get } from './api';

export interface History {
  at: number[]; // seconds since 1970
  qps: number[];
  lag: (number | null)[];
}
const HISTORY = 600; // points of each tablet
const VTORC_SECONDS = 4;
const SAMPLE_SECONDS = 2;
const HISTORY_TABLETS = 200; // in larger clusters only the tablets that a page asks for

class Store {
  loaded = false;
  live = false; // the stream is open
  since = Date.now(); // when `live` last changed
  topology: Topology = { cells: [], keyspaces: [], shards: [], maintenance: {}, problems: [] };
  tablets = new Map<string, Tablet>();
  operations = new Map<number, Operation>();
  ended = 0; // operations that ended while we look
  me: Me | null = null;
  vtorcs: Vtorc[] = []; // as last asked
  failed = ''; // why nothing is loaded
  private histories = new Map<string, History>();
  private wanted = new Set<string>();
  private listeners = new Set<() => void>();
  private told = false;
  private sorted: Tablet[] | null = null;

  start() {
    void get<Me>('api/me').then((me) => this.change(() => (this.me = me)), (error: Error) => this.change(() => (this.failed = error.message)));
    void get<{ operations: Operation[] }>('api/operations').then((answer) =>
      this.change(() => answer.operations.forEach((operation) => this.operations.set(operation.id, operation))),
    );
    this.listen();
    this.askVtorcs();
    this.sample();
  }

  // What heals the cluster stands on every page.
  private askVtorcs() {
    const later = () => setTimeout(() => this.askVtorcs(), VTORC_SECONDS * 1000);
    if (document.hidden || (this.loaded && !this.live)) return void later();
    void get<{ vtorcs: Vtorc[] }>('api/vtorcs').then((answer) => this.change(() => (this.vtorcs = answer.vtorcs)), () => {}).finally(later);
  }

  private listen() {
    const source = events();
    const on = (name: string, take: (data: never) => void) =>
      source.addEventListener(name, (event) => {
        const data = JSON.parse((event as MessageEvent<string>).data) as never;
        this.change(() => take(data));
      });
    on('snapshot', (data: Snapshot) => {
      const { tablets, ...topology } = data;
      this.topology = topology;
      this.tablets = new Map(tablets.map((tablet) => [tablet.alias, tablet]));
      this.sorted = null;
      this.loaded = true;
      tablets.forEach((tablet) => this.remember(tablet, Date.now() / 1000));
      this.setLive(true);
    });
    on('topology', (data: Topology) => (this.topology = data));
    on('tablets', (data: { changed: Tablet[]; gone: string[] }) => {
      const now = Date.now() / 1000;
      for (const tablet of data.changed) {
        if (!this.tablets.has(tablet.alias)) this.sorted = null;
        this.tablets.set(tablet.alias, tablet);
        this.remember(tablet, now);
      }
      for (const alias of data.gone) this.tablets.delete(alias);
      this.sorted = null;
    });
    on('operation', (data: Operation) => {
      this.operations.set(data.id, data);
      if (data.state !== 'running') this.ended++;
    });
    source.onopen = () => this.change(() => this.setLive(true));
    source.onerror = () => {
      this.change(() => this.setLive(false));
      // A browser gives up for good after some answers, for instance a proxy's 502.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.listen(), 2000);
    };
  }

  private setLive(live: boolean) {
    if (this.live !== live) this.since = Date.now();
    this.live = live;
  }

  private remember(tablet: Tablet, now: number) {
    if (this.tablets.size > HISTORY_TABLETS && !this.wanted.has(tablet.alias)) return;
    let history = this.histories.get(tablet.alias);
    if (!history) this.histories.set(tablet.alias, (history = { at: [], qps: [], lag: [] }));
    history.at.push(now);
    history.qps.push(tablet.qps);
    history.lag.push(tablet.lag);
    if (history.at.length > HISTORY) {
      history.at.shift();
      history.qps.shift();
      history.lag.shift();
    }
  }

  // News come of what changes; a quiet tablet has points too.
  private sample() {
    const now = Date.now() / 1000;
    if (this.live) {
      for (const tablet of this.tablets.values()) {
        const last = this.histories.get(tablet.alias)?.at.at(-1) ?? 0;
        if (now - last >= SAMPLE_SECONDS) this.remember(tablet, now);
      }
      if (this.wanted.size) this.change(() => {});
    }
    setTimeout(() => this.sample(), SAMPLE_SECONDS * 1000);
  }

  history(alias: string): History {
    this.wanted.add(alias);
    return this.histories.get(alias) ?? { at: [], qps: [], lag: [] };
  }

  list(): Tablet[] {
    this.sorted ??= [...this.tablets.values()].sort((a, b) => a.alias.localeCompare(b.alias));
    return this.sorted;
  }

  may(role: string): boolean {
    return this.me?.roles.includes(role) ?? false;
  }

  change(work: () => unknown) {
    work();
    if (this.told) return;
    this.told = true;
    // Hidden pages get no frames.
    const tell = () => {
      this.told = false;
      this.listeners.forEach((listener) => listener());
    };
    if (document.hidden) setTimeout(tell, 500);
    else requestAnimationFrame(tell);
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

export const store = new Store();

// Renders again with each change.
export function useStore(): Store {
  const [, again] = useReducer((n: number) => n + 1, 0);
  useEffect(() => store.subscribe(() => again(0)), []);
  return store;
}

// Asks again every `seconds`, when an operation has ended, and when the path changes; the last answer stays while a new one is awaited.
export function usePolled<T>(path: string | null, query: Record<string, string> = {}, seconds = 0) {
  const [state, set] = useReducer(
    (_: { key: string; data?: T; error?: string }, next: { key: string; data?: T; error?: string }) => next,
    { key: '' },
  );
  const [round, again] = useReducer((n: number) => n + 1, 0);
  const key = path === null ? '' : `${path}?${JSON.stringify(query)}`;
  useEffect(() => {
    if (path === null) return;
    let current = true;
    let timer = 0;
    const ask = () => {
      get<T>(path, query)
        .then(
          (data) => current && set({ key, data }),
          (error: Error) => current && set({ key, error: error.message }),
        )
        .finally(() => {
          if (current && seconds) timer = window.setTimeout(ask, seconds * 1000);
        });
    };
    ask();
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [key, round, seconds, store.ended]);
  const fits = state.key === key;
  return { data: fits ? state.data : undefined, error: fits ? state.error : undefined, again: () => again(0) };
}
