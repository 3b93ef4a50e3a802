import { useEffect, useState } from "react";
import {
  LINE_MAX,
  type Profile,
  REGION_MAX,
  type Span,
  type Statistics,
  lengthOf,
  pixelsAlong,
  rectangleOf,
  spanIn,
  statisticsOf,
} from "../../measuring";
import type { Values } from "../../values";
import type { Size } from "../../view";
import { type AllValues, type Key } from "../viewer/shown";
import { words } from "./words";

/** What was found in one picture. */
export interface Measured {
  readonly statistics?: readonly Statistics[];
  readonly profile?: Profile;
  /** Why nothing was, in a sentence. */
  readonly refusal?: string;
}

// A hand that drags moves many times a second; a large region takes tens of milliseconds.
const PAUSE_MS = 80;

/** Measure a span in the values of all pictures, a moment after it was moved last. */
export function useMeasured(
  span: Span | null,
  keys: readonly Key[],
  values: AllValues,
  scene: Size | null,
  nodata: number | null,
): Partial<Record<Key, Measured>> | null {
  const [found, setFound] = useState<Partial<Record<Key, Measured>> | null>(null);
  const sources = keys.map((key) => values[key]);
  useEffect(() => {
    if (!span || !scene) return setFound(null);
    let isCurrent = true;
    const measureAll = async () => {
      const all = await Promise.all(
        keys.map(async (key) => {
          const own = values[key];
          // A result of another type, such as a mask, has no such value.
          const isFilled = own !== undefined && own.dtype === values.before?.dtype;
          return [key, await measured(span, own, scene, isFilled ? nodata : null)] as const;
        }),
      );
      if (isCurrent) setFound(Object.fromEntries(all));
    };
    const timer = setTimeout(() => void measureAll(), PAUSE_MS);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
    // `keys` and `values` are made anew at each rendering; what they hold is not.
  }, [span, nodata, scene?.width, scene?.height, keys.join(), ...sources]);
  return found;
}

async function measured(
  span: Span,
  values: Values | undefined,
  scene: Size,
  nodata: number | null,
): Promise<Measured> {
  if (!values) return { refusal: words.none };
  const own = spanIn(span, values, scene);
  if (!own) return {};
  try {
    return span.shape === "line"
      ? await alongLine(own, values)
      : await inRectangle(own, values, nodata);
  } catch {
    // A part of the values did not come; the next movement asks for it again.
    return {};
  }
}

async function inRectangle(span: Span, values: Values, nodata: number | null): Promise<Measured> {
  const rectangle = rectangleOf(span, values);
  if (rectangle.width * rectangle.height > REGION_MAX) {
    return { refusal: words.tooLarge(words.megapixels(REGION_MAX)) };
  }
  return { statistics: statisticsOf(await values.part(rectangle), values.channels, nodata) };
}

async function alongLine(span: Span, values: Values): Promise<Measured> {
  if (lengthOf(span, values) > LINE_MAX) return { refusal: words.tooLong(LINE_MAX) };
  const pixels = await Promise.all(pixelsAlong(span, values).map(({ x, y }) => values.at(x, y)));
  return {
    profile: Array.from({ length: values.channels }, (_, channel) =>
      pixels.map((samples) => samples[channel] ?? NaN),
    ),
  };
}
