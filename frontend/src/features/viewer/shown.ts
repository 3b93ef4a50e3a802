import { useEffect, useState } from "react";
import { type Contrast, type Limits, isStretched, plainContrast } from "../../contrast";
import type { Values } from "../../values";
import type { Point, Size } from "../../view";
import type { Layer } from "./layers";

/** A picture on the stage. */
export interface Shown {
  readonly size: Size;
  /** The values that black and white of the picture stand for; null if the values are painted. */
  readonly domain: Limits | null;
  /** A small version of the whole picture, if it is in tiles. */
  readonly small?: HTMLImageElement;
  /** Values of the image, if they are at hand. */
  readonly values?: Values;
  /** Read the values of a picture that the browser has decoded; null if it cannot. */
  readonly readValues?: () => Promise<Values | null>;
  /** For tiles without values: the values of the pixel that is shown at a point of the stage. */
  readonly approximateAt?: (at: Point) => readonly number[] | null;
}

export type Key = Layer["key"];
export type Pictures = Partial<Record<Key, Shown>>;
export type AllValues = Partial<Record<Key, Values>>;
export type Contrasts = Partial<Record<Key, Contrast>>;

/** Return the values of the pictures: those at hand, and if wanted those that take time to read. */
export function useValues(pictures: Pictures, keys: readonly Key[], isWanted: boolean): AllValues {
  const [read, setRead] = useState(new Map<Shown, Values>());
  const shown = keys.flatMap((key) => pictures[key] ?? []);
  const missing = shown.filter((each) => !each.values && each.readValues && !read.has(each));
  useEffect(() => {
    if (!isWanted || missing.length === 0) return;
    let isCurrent = true;
    const reading = missing.map(async (each) => [each, await each.readValues?.()] as const);
    void Promise.all(reading).then((all) => {
      if (isCurrent)
        setRead(new Map(all.flatMap(([each, found]) => (found ? [[each, found]] : []))));
    });
    return () => {
      isCurrent = false;
    };
    // Only when a picture is another one: `missing` is a new list each time.
  }, [isWanted, ...shown]);
  return Object.fromEntries(
    keys.flatMap((key) => {
      const picture = pictures[key];
      const values = picture && (picture.values ?? read.get(picture));
      return values ? [[key, values]] : [];
    }),
  );
}

/** Return the contrasts that were chosen, and that of labels, which are shown in colours. */
export function contrastsOf(
  layers: readonly Layer[],
  pictures: Pictures,
  chosen: Contrasts,
): Contrasts {
  const coloured = layers.flatMap(({ key, form, isLabels }) => {
    const picture = pictures[key];
    // The tiles of a large image are pictures of stretched values.
    if (!isLabels || !picture || form === "tiles") return [];
    const limits = picture.values?.limits ?? ([0, 255] as const);
    return [[key, { limits: [limits], gamma: 1, map: "labels" }] as const];
  });
  return { ...Object.fromEntries(coloured), ...chosen };
}

/** The contrast in which a picture is shown, if another one than its values have by themselves. */
export function stretchOf(values: Values | undefined, chosen: Contrast | undefined) {
  if (!values) return null;
  const contrast = chosen ?? plainContrast(values);
  return isStretched(contrast, values.dtype) ? contrast : null;
}
