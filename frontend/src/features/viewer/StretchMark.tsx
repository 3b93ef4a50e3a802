import { texts } from "../../texts";
import { type AllValues, type Contrasts, type Key, stretchOf } from "./shown";

interface StretchMarkProps {
  readonly keys: readonly Key[];
  readonly values: AllValues;
  readonly contrasts: Contrasts;
}

/** A label on pictures whose contrast is not that of their values: which are black and white. */
export function StretchMark({ keys, values, contrasts }: StretchMarkProps) {
  const found = keys.flatMap((key) => {
    const contrast = stretchOf(values[key], contrasts[key]);
    return contrast ? [{ key, words: texts.viewer.stretchedTo(contrast) }] : [];
  });
  if (found.length === 0) return null;
  const isOne = found.length === keys.length && new Set(found.map(({ words }) => words)).size === 1;
  const words = found.map((each) => `${texts.viewer[each.key]}: ${each.words}`).join(" · ");
  return (
    <p className="preview-mark stretch-mark" title={texts.viewer.stretchedHint}>
      {isOne ? texts.viewer.alone(found[0]?.words ?? "") : words}
    </p>
  );
}
