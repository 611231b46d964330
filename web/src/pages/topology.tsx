// The topology's records, decoded.
import { Code, Empty, Note, Page, Waiting } from '../parts';
import { usePolled, useStore } from '../store';

interface Node {
  name: string;
  path: string;
  data: string;
  children: string[];
  version: number;
}

const link = (path: string) => `#/topology${path.split('/').map(encodeURIComponent).join('/')}`;

export function TopologyPage({ path }: { path: string }) {
  const { topology } = useStore();
  const { data, error, again } = usePolled<Node>('api/topology', { path }, 5);
  const parts = path.split('/').filter(Boolean);
  return (
    <Page title="Topology" lead="What all processes agree on, as it is stored. To mend a record: vtctldclient WriteTopologyPath.">
      {topology.problems.length === 0 ? <Note tone="good">The topology answers.</Note> : topology.problems.map((problem) => <Note tone="bad" key={problem}>{problem}</Note>)}
      <nav aria-label="Path" class="crumbs">
        <a href="#/topology">all cells</a>
        {parts.map((part, n) => (
          <span key={n}> / {n === parts.length - 1 ? <b aria-current="page">{part}</b> : <a href={link(`/${parts.slice(0, n + 1).join('/')}`)}>{part}</a>}</span>
        ))}
      </nav>
      {error && <Waiting error={error} what="the record" again={again} />}
      {!data && !error && <Waiting what="the record" />}
      {data && data.children.length > 0 && (
        <ul class="tree">
          {data.children.map((child) => (
            <li key={child}><a href={link(`${path === '/' ? '' : path}/${child}`)}>{child}</a></li>
          ))}
        </ul>
      )}
      {data && data.data !== '' && <><p class="dim">Version {data.version}</p><Code label="record">{pretty(data.data)}</Code></>}
      {data && data.children.length === 0 && data.data === '' && <Empty><p>Nothing lies here.</p></Empty>}
    </Page>
  );
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
