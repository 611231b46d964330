// Values as people read them.

export function seconds(value: number | null): string {
  if (value === null) return '–';
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < 120) return `${Math.round(value)} s`;
  if (value < 7200) return `${Math.round(value / 60)} min`;
  return `${Math.round(value / 3600)} h`;
}

export function millis(ms: number): string {
  if (ms > 0 && ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms > 0 && ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(2)} s`;
  return seconds(ms / 1000);
}

export function number(value: number): string {
  if (value >= 10000) return `${(value / 1000).toFixed(1)}k`;
  return value >= 100 ? String(Math.round(value)) : value.toFixed(value % 1 ? 1 : 0);
}

export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

const two = (n: number) => String(n).padStart(2, '0');

export function clock(ms: number): string {
  const at = new Date(ms);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

export function time(ms: number): string {
  const at = new Date(ms);
  const today = new Date().toDateString() === at.toDateString();
  return today ? clock(ms) : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock(ms)}`;
}

export function days(value: number): string {
  const count = value / 86400;
  return count < 2 ? `${Math.max(1, Math.round(count * 24))} h` : `${Math.round(count)} days`;
}

export function ago(ms: number): string {
  const s = Math.max(0, (Date.now() - ms) / 1000);
  if (s < 60) return 'just now';
  if (s < 5400) return `${Math.round(s / 60)} min ago`;
  if (s < 129600) return `${Math.round(s / 3600)} h ago`;
  return `${Math.round(s / 86400)} days ago`;
}

// "MySQL56/uuid:1-77,..." names servers by long ids; what people compare is how far each came.
export function position(text: string): string {
  const sets = text.slice(text.indexOf('/') + 1);
  if (!sets) return '–';
  const parts = sets.split(',').map((set) => set.replace(/^([0-9a-f]{4})[0-9a-f]{4}-[0-9a-f-]{27}/i, '$1…'));
  return parts.length > 2 ? `${parts.slice(0, 2).join(', ')} +${parts.length - 2}` : parts.join(', ');
}

export function share(total: number | null, free: number | null): number | null {
  return total === null || free === null || total <= 0 ? null : 1 - free / total;
}
