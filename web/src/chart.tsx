// A line over time, drawn by uPlot, in the page's colours.
import { useEffect, useReducer, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { clock } from './format';
import 'uplot/dist/uPlot.min.css';

// Changes with the colours of the page.
function useColors(): string {
  const [, again] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const changed = () => again(0);
    dark.addEventListener('change', changed);
    return () => dark.removeEventListener('change', changed);
  }, []);
  return getComputedStyle(document.documentElement).getPropertyValue('--line');
}

export function LineChart({ label, at, values, unit }: { label: string; at: number[]; values: (number | null)[]; unit: string }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const colors = useColors();
  useEffect(() => {
    const style = getComputedStyle(document.documentElement);
    const color = (name: string) => style.getPropertyValue(name).trim();
    const axis = { stroke: color('--dim'), grid: { stroke: color('--line'), width: 1 }, ticks: { stroke: color('--line'), width: 1 }, font: '12px system-ui' };
    const made = new uPlot(
      {
        width: box.current!.clientWidth,
        height: 160,
        legend: { show: false },
        cursor: { y: false },
        scales: { x: { range: (_, low, high) => [Math.min(low, high - 60), high] }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(1, (high ?? 1) * 1.1)] } },
        series: [{}, { label, points: { show: false }, stroke: color('--accent'), width: 2, fill: color('--accent-soft'), spanGaps: false }],
        axes: [{ ...axis, space: 70, size: 32, values: (_, ticks) => ticks.map((tick) => clock(tick * 1000)) }, { ...axis, size: 56, values: (_, ticks) => ticks.map((tick) => `${tick}${unit}`) }],
      },
      [at, values] as uPlot.AlignedData,
      box.current!,
    );
    plot.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: box.current!.clientWidth, height: 160 }));
    resized.observe(box.current!);
    return () => {
      resized.disconnect();
      made.destroy();
    };
  }, [colors]);
  useEffect(() => plot.current?.setData([at, values] as uPlot.AlignedData), [at.length, at[at.length - 1]]);
  const known = values.filter((value): value is number => value !== null);
  const last = known[known.length - 1];
  return (
    <figure class="chart">
      <figcaption>{label} <b>{last === undefined ? '–' : `${last}${unit}`}</b></figcaption>
      <div ref={box} role="img" aria-label={`${label}: now ${last ?? 'not known'}${unit}, highest ${known.length ? Math.max(...known) : 'not known'}${unit} in this view`} />
    </figure>
  );
}
