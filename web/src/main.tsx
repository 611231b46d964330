import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { findings } from './advice';
import { ActionDialog } from './dialog';
import { ago } from './format';
import { BackupsPage } from './pages/backups';
import { ClusterPage } from './pages/cluster';
import { OperationsPage } from './pages/operations';
import { QueriesPage } from './pages/queries';
import { RecoveriesPage } from './pages/recoveries';
import { SchemaPage } from './pages/schema';
import { SessionsPage } from './pages/sessions';
import { SqlPage } from './pages/sql';
import { TabletPage } from './pages/tablet';
import { TopologyPage } from './pages/topology';
import { Empty, Note, Pill } from './parts';
import { store, useStore } from './store';
import './style.css';

const PAGES: { path: string; name: string; view: (parts: string[]) => preact.JSX.Element; group: string }[] = [
  { path: '', name: 'Cluster', view: () => <ClusterPage />, group: 'Watch' },
  { path: 'recoveries', name: 'Failovers', view: () => <RecoveriesPage />, group: 'Watch' },
  { path: 'sessions', name: 'Sessions', view: () => <SessionsPage />, group: 'Watch' },
  { path: 'queries', name: 'Queries', view: () => <QueriesPage />, group: 'Watch' },
  { path: 'schema', name: 'Schema', view: (parts) => <SchemaPage keyspace={parts[0]} table={parts[1]} />, group: 'Data' },
  { path: 'backups', name: 'Backups', view: (parts) => <BackupsPage shard={parts.join('/')} />, group: 'Data' },
  { path: 'sql', name: 'DBA statement', view: (parts) => <SqlPage alias={parts[0]} />, group: 'Data' },
  { path: 'topology', name: 'Topology', view: (parts) => <TopologyPage path={`/${parts.join('/')}`} />, group: 'Inside' },
  { path: 'operations', name: 'Operations', view: (parts) => <OperationsPage id={parts[0]} />, group: 'Inside' },
];

function usePath(): string[] {
  const read = () => location.hash.replace(/^#\/?/, '').split('/').filter(Boolean).map(decodeURIComponent);
  const [path, set] = useState(read);
  useEffect(() => {
    const changed = () => set(read());
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return path;
}

function useTheme(): [string, () => void] {
  const [theme, set] = useState(() => {
    try { return localStorage.getItem('theme') ?? 'auto'; } catch { return 'auto'; }
  });
  useEffect(() => {
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    try { localStorage.setItem('theme', theme); } catch { /* a browser that keeps nothing */ }
  }, [theme]);
  const next: Record<string, string> = { auto: 'light', light: 'dark', dark: 'auto' };
  return [theme, () => set(next[theme] ?? 'auto')];
}

// The state in one line, said aloud when it changes.
function Verdict() {
  const { topology, loaded, vtorcs } = store;
  if (!loaded) return null;
  const found = findings(topology, store.list(), vtorcs);
  const bad = found.filter((finding) => finding.tone === 'bad').length;
  const warn = found.filter((finding) => finding.tone === 'warn').length;
  return (
    <span role="status"><a class="verdict" href="#/">
      {bad ? <Pill tone="bad">{bad === 1 ? '1 problem' : `${bad} problems`}</Pill> : warn ? <Pill tone="warn">{warn === 1 ? '1 warning' : `${warn} warnings`}</Pill> : <Pill tone="good">healthy</Pill>}
    </a></span>
  );
}

function App() {
  const { live, loaded, failed, me, operations } = useStore();
  const path = usePath();
  const [theme, turnTheme] = useTheme();
  const here = path[0] ?? '';
  const page = PAGES.find((other) => other.path === here);
  const running = [...operations.values()].filter((operation) => operation.state === 'running').length;
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById('main')?.focus(); }}>Skip to the content</a>
      <header class="top">
        <a class="brand" href="#/"><img src="icon.svg" alt="" width="24" height="24" /> Paceline</a>
        <Verdict />
        <span class="spacer" />
        <span class="live">
          {live ? <Pill tone="good">live</Pill> : <Pill tone="warn" title="vtctld does not answer; it is tried again">not live</Pill>}
        </span>
        {me && <span class="who" title={`roles: ${me.roles.join(', ')}`}>{me.name}</span>}
        <button type="button" class="quiet" onClick={turnTheme} aria-label={`Theme: ${theme}`}><span class="wide">Theme: </span>{theme}</button>
      </header>
      <div class="columns">
        <nav aria-label="Pages">
          {['Watch', 'Data', 'Inside'].map((group) => (
            <div key={group}>
              <h2>{group}</h2>
              <ul>
                {PAGES.filter((other) => other.group === group).map((other) => (
                  <li key={other.path}>
                    <a href={`#/${other.path}`} aria-current={other === page || (here === 'tablet' && other.path === '') ? 'page' : undefined}>
                      {other.name}
                      {other.path === 'operations' && running > 0 && <span class="count" title={`${running} running`}>{running}<span class="hidden"> running</span></span>}
                    </a>
                  </li>
                ))}
              </ul>
            </div>
          ))}
        </nav>
        <main id="main" tabIndex={-1}>
          {!live && loaded && <Note tone="warn">vtctld has not answered since {ago(store.since)}. What you see is from then; the console goes on by itself when it is back.</Note>}
          {!loaded ? (
            failed ? <Note tone="bad"><strong>The console cannot reach vtctld:</strong> {failed}</Note> : <p class="waiting">Asking vtctld for the cluster…</p>
          ) : here === 'tablet' && path[1] ? (
            <TabletPage alias={path[1]} key={path[1]} />
          ) : page ? (
            page.view(path.slice(1))
          ) : (
            <Empty><h1>There is no such page</h1><p>Go to the <a href="#/">cluster</a>.</p></Empty>
          )}
        </main>
      </div>
      <ActionDialog />
    </>
  );
}

store.start();
const root = document.getElementById('app')!;
root.textContent = '';
render(<App />, root);
