// What was done from the console, and how it went.
import { titleOf } from '../asks';
import { OperationLines } from '../dialog';
import { seconds, time } from '../format';
import { Code, Empty, Page, Pill, TableBox } from '../parts';
import { useStore } from '../store';

export function OperationsPage({ id }: { id?: string }) {
  const { operations } = useStore();
  if (id) {
    const one = operations.get(Number(id));
    return (
      <Page title={one ? `${titleOf(one.action)}: ${one.target}` : `Operation ${id}`} lead={<a href="#/operations">All operations</a>}>
        {one && <p>Asked by {one.who} at {time(one.began)}{one.ended !== null && `, took ${seconds((one.ended - one.began) / 1000)}`}.</p>}
        {one?.command && <Code label="command">{one.command}</Code>}
        <OperationLines id={Number(id)} />
      </Page>
    );
  }
  const list = [...operations.values()].sort((a, b) => b.id - a.id);
  const failed = list.filter((operation) => operation.state === 'failed').length;
  return (
    <Page title="Operations" lead={list.length === 0 ? undefined : failed ? `${failed} of ${list.length} failed: open one to see why and what to do.` : 'All went well.'}>
      {list.length === 0 ? (
        <Empty><p>Nothing was done from this vtctld’s console since it started. Actions stand on the pages of the <a href="#/">cluster</a> and of its tablets. What vtctldclient does stands in vtctld’s log.</p></Empty>
      ) : (
        <TableBox label="operations">
          <thead><tr><th scope="col">When</th><th scope="col">What</th><th scope="col">Of what</th><th scope="col">By</th><th scope="col">State</th><th scope="col" class="num">Took</th><th scope="col">Last line</th></tr></thead>
          <tbody>
            {list.map((operation) => (
              <tr key={operation.id}>
                <td>{time(operation.began)}</td>
                <th scope="row"><a href={`#/operations/${operation.id}`}>{titleOf(operation.action)}</a></th>
                <td>{operation.target}</td>
                <td>{operation.who}</td>
                <td>{operation.state === 'running' ? <Pill tone="info">running</Pill> : operation.state === 'done' ? <Pill tone="good">done</Pill> : <Pill tone="bad">failed</Pill>}</td>
                <td class="num">{operation.ended === null ? '–' : seconds((operation.ended - operation.began) / 1000)}</td>
                <td class="clip">{operation.error || operation.last_line}</td>
              </tr>
            ))}
          </tbody>
        </TableBox>
      )}
    </Page>
  );
}
