import { useEffect, useState } from "react";
import { type Histogram, type Pixels, readPixels } from "../../pixels";
import { texts } from "../../texts";
import type { Point, Size } from "../../view";

/** A picture on the stage. */
export interface Shown {
  /** The whole picture; a small version of it if it is in tiles. */
  readonly image: HTMLImageElement;
  readonly size: Size;
  /** For pictures in tiles, whose pixels are not all loaded: values at a point of the stage. */
  readonly valuesAt?: (at: Point) => readonly number[] | null;
}

interface LoupeProps {
  readonly pictures: ReadonlyMap<string, Shown>;
  readonly layers: readonly ("before" | "after")[];
  /** Number of pictures loaded so far. */
  readonly loads: number;
  readonly pixel: Point | null;
  /** The same point, in pixels of the stage. */
  readonly at: Point | null;
  readonly hasHistogram: boolean;
}

/** The pixel values under the pointer, and the histograms of the pictures. */
export function Loupe({ pictures, layers, loads, pixel, at, hasHistogram }: LoupeProps) {
  const [read, setRead] = useState<ReadonlyMap<string, Pixels>>(new Map());
  const isWanted = hasHistogram || pixel !== null;
  const shown = layers.join();

  useEffect(() => setRead(new Map()), [loads, shown]);

  useEffect(() => {
    if (!isWanted) return;
    let isCurrent = true;
    void Promise.all(
      [...pictures].map(async ([key, { image }]) => [key, await readPixels(image)] as const),
    ).then((all) => {
      if (isCurrent) setRead(new Map(all.flatMap(([key, each]) => (each ? [[key, each]] : []))));
    });
    return () => {
      isCurrent = false;
    };
  }, [isWanted, pictures, loads, shown]);

  /** Return a picture's values at `pixel` of the scene, which has the size of the first picture. */
  function valuesOf(key: string): string | null {
    const picture = pictures.get(key);
    if (!picture || !pixel || !at) return null;
    if (picture.valuesAt) {
      const values = picture.valuesAt(at);
      return values && texts.viewer.about(values.join(" "));
    }
    const { size } = picture;
    const scene = pictures.get("before")?.size ?? size;
    const column = Math.floor((pixel.x * size.width) / scene.width);
    const row = Math.floor((pixel.y * size.height) / scene.height);
    return read.get(key)?.at(column, row).join(" ") ?? null;
  }

  return (
    <div className="loupe">
      {hasHistogram && (
        <div className="histograms">
          {layers.map((key) => {
            const found = read.get(key);
            return found ? (
              <HistogramChart key={key} title={texts.viewer[key]} histogram={found.histogram} />
            ) : null;
          })}
        </div>
      )}
      <p className="pixel" aria-hidden="true">
        {pixel && (
          <>
            {texts.viewer.place(pixel.x, pixel.y)}
            {layers.map((key) => {
              const values = valuesOf(key);
              return (
                values && (
                  <span key={key}>
                    {texts.viewer[key]} <b>{values}</b>
                  </span>
                )
              );
            })}
          </>
        )}
      </p>
    </div>
  );
}

const HEIGHT = 48;
const COLOURS = ["red", "green", "blue"];

function HistogramChart({ title, histogram }: { title: string; histogram: Histogram }) {
  // Scale without the first and last level, so that a black border does not flatten the chart.
  const most = Math.max(1, ...histogram.flatMap((levels) => levels.slice(1, -1)));
  return (
    <figure>
      <svg
        viewBox={`0 0 256 ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={texts.viewer.histogramOf(title)}
      >
        {histogram.map((levels, channel) => (
          <path
            key={channel}
            className={histogram.length > 1 ? `levels-${COLOURS[channel]}` : "levels-gray"}
            d={`M0 ${HEIGHT}${levels.map((each, level) => heightAt(level, each / most)).join("")}L256 ${HEIGHT}Z`}
          />
        ))}
      </svg>
      <figcaption>{title}</figcaption>
    </figure>
  );
}

function heightAt(level: number, part: number): string {
  // The square root makes rare levels visible.
  const top = HEIGHT - HEIGHT * Math.sqrt(Math.min(1, part));
  return `L${level} ${top.toFixed(1)}L${level + 1} ${top.toFixed(1)}`;
}
