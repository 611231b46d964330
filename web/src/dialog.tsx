// An action is asked for in a dialog: its plan is shown before it is done, and its lines while it runs.
import { useEffect, useReducer, useRef, useState } from 'preact/hooks';
import { type Arguments, type Operation, type Plan, get, post } from './api';
import { Code, Field, Note, Pill } from './parts';
import { store, useStore } from './store';

export interface Input {
  name: string;
  label: string;
  hint?: string;
  kind?: 'text' | 'flag' | 'choice' | 'lines';
  choices?: { value: string; label: string }[];
  optional?: boolean;
}
export interface Asked {
  action: string;
  title: string;
  arguments: Arguments;
  inputs?: Input[];
}

let current: Asked | null = null;
let told = () => {};
export function ask(asked: Asked) {
  current = asked;
  told();
}

export const roleOf = (action: string) => store.me?.actions[action] ?? 'operator';

// A button that opens an action's dialog; off, with the reason, for those who may not.
export function ActionButton({ asked, label, kind = '' }: { asked: Asked; label: string; kind?: string }) {
  useStore();
  const role = roleOf(asked.action);
  const may = store.may(role);
  return (
    <button type="button" class={kind} disabled={!may} title={may ? undefined : `You need the role ${role}.`} onClick={() => ask(asked)}>
      {label}
    </button>
  );
}

function Inputs({ asked, values, set }: { asked: Asked; values: Arguments; set: (values: Arguments) => void }) {
  return (
    <>
      {(asked.inputs ?? []).map((input, n) => {
        const value = values[input.name];
        const change = (next: string | boolean) => set({ ...values, [input.name]: next });
        if (input.kind === 'flag') {
          return (
            <label class="flag" key={input.name}>
              <input type="checkbox" checked={value === true} onChange={(event) => change(event.currentTarget.checked)} />
              <span>{input.label}{input.hint && <small>{input.hint}</small>}</span>
            </label>
          );
        }
        return (
          <Field label={input.label} hint={input.hint} key={input.name}>
            {input.kind === 'choice' ? (
              <select value={String(value ?? '')} onChange={(event) => change(event.currentTarget.value)}>
                {input.choices?.map((choice) => <option value={choice.value} key={choice.value}>{choice.label}</option>)}
              </select>
            ) : input.kind === 'lines' ? (
              <textarea rows={8} spellcheck={false} required={!input.optional} value={String(value ?? '')} onInput={(event) => change(event.currentTarget.value)} />
            ) : (
              <input type="text" autofocus={n === 0} required={!input.optional} value={String(value ?? '')} onInput={(event) => change(event.currentTarget.value)} />
            )}
          </Field>
        );
      })}
    </>
  );
}

export function PlanView({ plan }: { plan: Plan }) {
  return (
    <div class="plan">
      {plan.refused && <Note tone="bad"><strong>This would not work now:</strong> {plan.refused}.</Note>}
      <h3>What will happen</h3>
      <ol>{plan.steps.map((step) => <li key={step}>{step}</li>)}</ol>
      {plan.warnings.map((warning) => <Note tone="warn" key={warning}>{warning}.</Note>)}
      {plan.command && <><h3>The same in a terminal</h3><Code label="command">{plan.command}</Code></>}
    </div>
  );
}

// An operation's lines, asked for again when there are more.
export function OperationLines({ id }: { id: number }) {
  useStore();
  const summary = store.operations.get(id);
  const [full, set] = useState<Operation | null>(null);
  const box = useRef<HTMLPreElement>(null);
  useEffect(() => {
    let here = true;
    get<Operation>(`api/operations/${id}`).then((operation) => here && set(operation), () => {});
    return () => { here = false; };
  }, [id, summary?.line_count, summary?.state]);
  useEffect(() => { if (box.current) box.current.scrollTop = box.current.scrollHeight; }, [full]);
  const state = full?.state ?? summary?.state ?? 'running';
  return (
    <div class="operation" aria-live="polite">
      <p>
        {state === 'running' && <Pill tone="info">running</Pill>}
        {state === 'done' && <Pill tone="good">done</Pill>}
        {state === 'failed' && <Pill tone="bad">failed</Pill>}
      </p>
      {full?.error && <Note tone="bad">{full.error}</Note>}
      {full && full.lines!.length > 0 && <pre class="code" tabIndex={0} role="region" aria-label="what it told" ref={box}>{full.lines!.join('\n')}</pre>}
      {full?.cut && <p class="hint">There was more than is kept here.</p>}
    </div>
  );
}

function Body({ asked, close }: { asked: Asked; close: () => void }) {
  const [values, setValues] = useState<Arguments>(asked.arguments);
  const [plan, setPlan] = useState<Plan | null>(null);
  const [error, setError] = useState('');
  const [typed, setTyped] = useState('');
  const [busy, setBusy] = useState(false);
  const [id, setId] = useState<number | null>(null);
  const needsInput = (asked.inputs?.length ?? 0) > 0;

  const makePlan = (from: Arguments) => {
    setBusy(true);
    setError('');
    post<Plan>('api/plan', { action: asked.action, arguments: from })
      .then(setPlan, (failed: Error) => setError(failed.message))
      .finally(() => setBusy(false));
  };
  useEffect(() => { if (!needsInput) makePlan(values); }, []);
  const run = () => {
    setBusy(true);
    setError('');
    post<{ id: number }>('api/run', { action: asked.action, arguments: values })
      .then((answer) => setId(answer.id), (failed: Error) => setError(failed.message))
      .finally(() => setBusy(false));
  };
  const confirmed = !plan?.confirm || typed === plan.confirm;
  const submit = (event: Event) => {
    event.preventDefault();
    if (!plan) makePlan(values);
    else if (confirmed && !plan.refused) run();
  };

  if (id !== null) {
    return (
      <>
        <OperationLines id={id} />
        <footer>
          <a href="#/operations" onClick={close}>All operations</a>
          <button type="button" class="primary" onClick={close}>Close</button>
        </footer>
      </>
    );
  }
  return (
    <form onSubmit={submit}>
      {!plan && needsInput && <Inputs asked={asked} values={values} set={setValues} />}
      {error && <Note tone="bad">{error}</Note>}
      {plan && <PlanView plan={plan} />}
      {!plan && !needsInput && !error && <p class="waiting">Making the plan…</p>}
      {plan?.confirm && !plan.refused && (
        <Field label={`Type ${plan.confirm} to confirm`}>
          <input type="text" autocomplete="off" spellcheck={false} value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
        </Field>
      )}
      <footer>
        {plan && needsInput && <button type="button" onClick={() => { setPlan(null); setTyped(''); }}>Back</button>}
        <button type="button" onClick={close}>Cancel</button>
        {!plan ? (
          needsInput && <button type="submit" class="primary" disabled={busy}>Show the plan</button>
        ) : (
          <button type="submit" class={plan.confirm ? 'danger' : 'primary'} disabled={busy || !confirmed || plan.refused !== ''}>Do it</button>
        )}
      </footer>
    </form>
  );
}

export function ActionDialog() {
  const [, again] = useReducer((n: number) => n + 1, 0);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => { told = () => again(0); }, []);
  const open = current !== null;
  useEffect(() => {
    if (open && dialog.current && !dialog.current.open) dialog.current.showModal();
  });
  const close = () => {
    current = null;
    dialog.current?.close();
    again(0);
  };
  if (!current) return null;
  return (
    <dialog ref={dialog} aria-labelledby="dialog-title" onClose={close} onCancel={close}>
      <h2 id="dialog-title">{current.title}</h2>
      <Body key={`${current.action} ${JSON.stringify(current.arguments)}`} asked={current} close={close} />
    </dialog>
  );
}
