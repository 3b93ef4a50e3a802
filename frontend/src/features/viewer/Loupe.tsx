import { useEffect, useState } from "react";
import { type Histogram, type Pixels, readPixels } from "../../pixels";
import { texts } from "../../texts";
import type { Point } from "../../view";

interface LoupeProps {
  readonly images: ReadonlyMap<string, HTMLImageElement>;
  readonly layers: readonly ("before" | "after")[];
  /** Grows when a picture was loaded. */
  readonly loads: number;
  readonly pixel: Point | null;
  readonly hasHistogram: boolean;
}

/** What the pictures hold: the values under the pointer, and the histograms of both. */
export function Loupe({ images, layers, loads, pixel, hasHistogram }: LoupeProps) {
  const [read, setRead] = useState<ReadonlyMap<string, Pixels>>(new Map());
  const isWanted = hasHistogram || pixel !== null;
  const shown = layers.join();

  useEffect(() => setRead(new Map()), [loads, shown]);

  useEffect(() => {
    if (!isWanted) return;
    let isCurrent = true;
    void Promise.all(
      [...images].map(async ([key, image]) => [key, await readPixels(image)] as const),
    ).then((all) => {
      if (isCurrent) setRead(new Map(all.flatMap(([key, each]) => (each ? [[key, each]] : []))));
    });
    return () => {
      isCurrent = false;
    };
  }, [isWanted, images, loads, shown]);

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
              const values = valuesOf(read.get(key), images.get(key), pixel, images.get("before"));
              return (
                values && (
                  <span key={key}>
                    {texts.viewer[key]} <b>{values.join(" ")}</b>
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

/** Values of one picture at a pixel of the scene, which the other one may give the size of. */
function valuesOf(
  pixels: Pixels | undefined,
  image: HTMLImageElement | undefined,
  { x, y }: Point,
  scene: HTMLImageElement | undefined,
): readonly number[] | null {
  if (!pixels || !image) return null;
  const { naturalWidth: width, naturalHeight: height } = scene ?? image;
  const column = Math.floor((x * image.naturalWidth) / width);
  return pixels.at(column, Math.floor((y * image.naturalHeight) / height));
}

const HEIGHT = 48;
const COLOURS = ["red", "green", "blue"];

function HistogramChart({ title, histogram }: { title: string; histogram: Histogram }) {
  // The ends are left out of the measure: a black border must not flatten all else.
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
  // The square root shows the rare levels too.
  const top = HEIGHT - HEIGHT * Math.sqrt(Math.min(1, part));
  return `L${level} ${top.toFixed(1)}L${level + 1} ${top.toFixed(1)}`;
}
