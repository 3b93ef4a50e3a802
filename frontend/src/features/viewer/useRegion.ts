import { useMemo, useRef, useState } from "react";
import type { JobResult } from "../../answers";
import type { ImageItem } from "../../state/images";
import type { Point, Size } from "../../view";
import type { Finder } from "../tables/Tables";
import type { Region } from "./RegionMark";

const NONE: readonly JobResult[] = [];

/** The tables of an image, and the region that is picked in one of them or in the picture. */
export function useRegion({ job }: ImageItem, plane: number) {
  const [region, setRegion] = useState<Region | null>(null);
  const finder = useRef<Finder | null>(null);
  const result = job?.state === "succeeded" ? job.result : null;
  const [width, height] = [result?.columns ?? 0, result?.rows ?? 0];
  const size = useMemo<Size | null>(
    () => (width > 0 && height > 0 ? { width, height } : null),
    [width, height],
  );
  const tables = useMemo(
    () => (size ? (job?.results.filter(({ kind }) => kind === "table") ?? NONE) : NONE),
    [job, size],
  );
  /** The region in parts of the image; another object only when another one is picked. */
  const place = useMemo(() => (region && size ? inParts(region, size) : null), [region, size]);

  /** Look for the row at a place, in parts of the image, where the result has these values. */
  function press(at: Point, samples: readonly number[] | null): void {
    const [label = null, ...others] = samples ?? [];
    const pixel = { x: Math.floor(at.x * width), y: Math.floor(at.y * height) };
    if (size) finder.current?.(pixel, others.length > 0 ? null : label, plane);
  }

  return { tables, size, region, place, finder, setRegion, press };
}

function inParts({ box: { left, top, right, bottom } }: Region, { width, height }: Size) {
  return {
    x: left / width,
    y: top / height,
    width: (right - left) / width,
    height: (bottom - top) / height,
  };
}
