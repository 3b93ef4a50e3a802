import { type KeyboardEvent, type PointerEvent, useRef } from "react";
import {
  type Contrast,
  type Limits,
  MAPS,
  type MapName,
  autoLimits,
  coloursOf,
  plainContrast,
} from "../../contrast";
import { texts } from "../../texts";
import type { Histogram, Values } from "../../values";

interface HistogramPanelProps {
  readonly title: string;
  readonly values: Values;
  readonly contrast: Contrast;
  /** Whether the visitor has chosen the contrast. */
  readonly isChosen: boolean;
  onContrast(contrast: Contrast | null): void;
}

/** The histogram of a picture, with handles for its contrast, gamma, and colours. */
export function HistogramPanel(props: HistogramPanelProps) {
  const { title, values, contrast, isChosen, onContrast } = props;
  const { histogram } = values;
  const colours = coloursOf(values);
  const first = contrast.limits[0] ?? values.limits;
  const isShared = contrast.limits.every(([low, high]) => low === first[0] && high === first[1]);

  function setLimit(end: 0 | 1, value: number) {
    const limits: Limits =
      end === 0 ? [Math.min(value, first[1]), first[1]] : [first[0], Math.max(value, first[0])];
    onContrast({ ...contrast, limits: contrast.limits.map(() => limits) });
  }

  return (
    <figure className="histogram" aria-label={texts.viewer.histogramOf(title)}>
      <div className="histogram-chart">
        <Chart title={title} histogram={histogram} colours={colours} />
        {([0, 1] as const).map((end) => (
          <Handle
            key={end}
            label={texts.viewer.limits[end](title)}
            value={first[end]}
            histogram={histogram}
            dtype={values.dtype}
            onChange={(value) => setLimit(end, value)}
          />
        ))}
      </div>
      <figcaption>
        {title}
        <span className="histogram-range">
          {isShared ? texts.viewer.range(first, values.dtype) : texts.viewer.ownRanges}
        </span>
      </figcaption>
      <div className="histogram-tools">
        <label>
          {texts.viewer.gamma}
          <input
            type="range"
            min={-1}
            max={1}
            step={0.05}
            value={Math.log10(contrast.gamma)}
            aria-label={texts.viewer.gammaOf(title)}
            aria-valuetext={contrast.gamma.toFixed(2)}
            onChange={({ target }) =>
              onContrast({ ...contrast, gamma: 10 ** Number(target.value) })
            }
          />
        </label>
        {colours === 1 && (
          <select
            value={contrast.map}
            aria-label={texts.viewer.mapOf(title)}
            onChange={({ target }) => onContrast({ ...contrast, map: target.value as MapName })}
          >
            {MAPS.map((each) => (
              <option key={each} value={each}>
                {texts.viewer.maps[each]}
              </option>
            ))}
          </select>
        )}
        <button
          type="button"
          className="small"
          aria-label={texts.viewer.autoOf(title)}
          onClick={() => onContrast({ ...contrast, limits: autoLimits(histogram, colours) })}
        >
          {texts.viewer.auto}
        </button>
        <button
          type="button"
          className="small"
          aria-label={texts.viewer.plainOf(title)}
          disabled={!isChosen || JSON.stringify(contrast) === JSON.stringify(plainContrast(values))}
          onClick={() => onContrast(null)}
        >
          {texts.viewer.plain}
        </button>
      </div>
    </figure>
  );
}

interface HandleProps {
  readonly label: string;
  readonly value: number;
  readonly histogram: Histogram;
  readonly dtype: string;
  onChange(value: number): void;
}

/** A line on the histogram that is dragged, or moved with the arrow keys. */
function Handle({ label, value, histogram, dtype, onChange }: HandleProps) {
  const handle = useRef<HTMLSpanElement>(null);
  const { low, high } = histogram;
  const isWhole = !dtype.startsWith("float");
  const part = Math.min(1, Math.max(0, (value - low) / (high - low || 1)));

  function moveTo(part: number) {
    const found = low + Math.min(1, Math.max(0, part)) * (high - low);
    onChange(isWhole ? Math.round(found) : found);
  }

  function drag(event: PointerEvent<HTMLElement>) {
    const box = handle.current?.parentElement?.getBoundingClientRect();
    if (!box || !event.currentTarget.hasPointerCapture(event.pointerId)) return;
    moveTo((event.clientX - box.left) / box.width);
  }

  function onKey(event: KeyboardEvent) {
    const step = Math.max(isWhole ? 1 : 0, (high - low) / 100);
    const to = {
      ArrowLeft: value - step,
      ArrowDown: value - step,
      ArrowRight: value + step,
      ArrowUp: value + step,
      PageDown: value - 10 * step,
      PageUp: value + 10 * step,
      Home: low,
      End: high,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    moveTo((to - low) / (high - low || 1));
  }

  return (
    <span
      ref={handle}
      className="histogram-handle"
      role="slider"
      tabIndex={0}
      aria-label={label}
      aria-valuemin={low}
      aria-valuemax={high}
      aria-valuenow={value}
      aria-valuetext={texts.viewer.values([value], dtype)}
      style={{ left: `${100 * part}%` }}
      onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
      onPointerMove={drag}
      onKeyDown={onKey}
    />
  );
}

const HEIGHT = 48;
const COLOURS = ["red", "green", "blue"];

interface ChartProps {
  readonly title: string;
  readonly histogram: Histogram;
  readonly colours: number;
}

function Chart({ title, histogram, colours }: ChartProps) {
  const counts = histogram.counts.slice(0, colours);
  const bins = counts[0]?.length ?? 1;
  // Scale without the first and last level, so that a black border does not flatten the chart.
  const most = Math.max(
    1,
    ...counts.flatMap((levels) => (bins > 2 ? levels.slice(1, -1) : levels)),
  );
  return (
    <svg
      viewBox={`0 0 ${bins} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={texts.viewer.histogramOf(title)}
    >
      {counts.map((levels, channel) => (
        <path
          key={channel}
          className={colours === 3 ? `levels-${COLOURS[channel]}` : "levels-gray"}
          d={`M0 ${HEIGHT}${levels.map((each, level) => heightAt(level, each / most)).join("")}L${bins} ${HEIGHT}Z`}
        />
      ))}
    </svg>
  );
}

function heightAt(level: number, part: number): string {
  // The square root makes rare levels visible.
  const top = HEIGHT - HEIGHT * Math.sqrt(Math.min(1, part));
  return `L${level} ${top.toFixed(1)}L${level + 1} ${top.toFixed(1)}`;
}
