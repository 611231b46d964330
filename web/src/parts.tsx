// Pieces that all pages are made of.
import { Component, type ComponentChildren, type JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

export type Tone = 'good' | 'bad' | 'warn' | 'info' | 'plain';
const MARKS: Record<Tone, string> = { good: '●', bad: '✕', warn: '▲', info: 'i', plain: '○' };

// The mark differs in shape too, for those who cannot tell the colours apart.
export function Pill({ tone, children, title }: { tone: Tone; children: ComponentChildren; title?: string }) {
  return (
    <span class={`pill ${tone}`} title={title}>
      <span class="mark" aria-hidden="true">{MARKS[tone]}</span>
      {children}
    </span>
  );
}

export function Page({ title, lead, children, actions }: { title: string; lead?: ComponentChildren; children: ComponentChildren; actions?: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} – Paceline`;
    // A page that was gone to is read from its beginning.
    if (location.hash.length > 2) heading.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [title]);
  return (
    <>
      <header class="page">
        <div>
          <h1 ref={heading} tabIndex={-1}>{title}</h1>
          {lead && <p class="lead">{lead}</p>}
        </div>
        {actions && <div class="actions">{actions}</div>}
      </header>
      {children}
    </>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <div class="empty">{children}</div>;
}

export function Note({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return (
    <div class={`note ${tone}`} role={tone === 'bad' ? 'alert' : undefined}>
      <span class="mark" aria-hidden="true">{MARKS[tone]}</span>
      <div>{children}</div>
    </div>
  );
}

// What stands for an answer that has not come, or is an error.
export function Waiting({ error, what, again }: { error?: string; what: string; again?: () => void }) {
  if (!error) return <p class="waiting" aria-live="polite">Asking for {what}…</p>;
  return (
    <Note tone="bad">
      <strong>{what[0]!.toUpperCase() + what.slice(1)} did not come:</strong> {error} {again && <button class="link" onClick={again}>Ask again</button>}
    </Note>
  );
}

// Wide tables scroll by themselves, with the keyboard too.
export function TableBox({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <div class="table" role="region" aria-label={label} tabIndex={0}>
      <table>{children}</table>
    </div>
  );
}

export function Facts({ rows }: { rows: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value === '' || value === null || value === undefined ? '–' : value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Code({ children, label }: { children: string; label: string }) {
  return <pre class="code" tabIndex={0} role="region" aria-label={label}>{children}</pre>;
}

export function Field({ label, hint, children }: { label: string; hint?: string; children: JSX.Element }) {
  return (
    <label class="field">
      <span>{label}</span>
      {children}
      {hint && <small>{hint}</small>}
    </label>
  );
}

export function Bar({ used, label }: { used: number; label: string }) {
  const tone = used > 0.95 ? 'bad' : used > 0.85 ? 'warn' : 'plain';
  return (
    <span class="disk">
      <span class={`bar ${tone}`} aria-hidden="true"><span style={{ width: `${Math.round(used * 100)}%` }} /></span>
      {label}
    </span>
  );
}

// Renders again only when one of its properties is another one: with a thousand rows that is what counts.
export class Memo<P extends object> extends Component<P & { render: (properties: P) => JSX.Element }> {
  override shouldComponentUpdate(next: P & { render: (properties: P) => JSX.Element }): boolean {
    const before = this.props as unknown as Record<string, unknown>;
    const after = next as unknown as Record<string, unknown>;
    return Object.keys(after).some((key) => key !== 'render' && before[key] !== after[key]);
  }
  override render() {
    return this.props.render(this.props);
  }
}
