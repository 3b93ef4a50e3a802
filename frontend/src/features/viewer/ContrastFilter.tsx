import type { CSSProperties } from "react";
import { tablesOf } from "../../contrast";
import type { Contrasts, Key, Pictures } from "./shown";

interface ContrastFilterProps {
  readonly pictures: Pictures;
  readonly contrasts: Contrasts;
  /** Whether the second picture lies on the first, so that the background of labels is clear. */
  readonly isOver: boolean;
  /** Name of the filters, of which each needs its own in the document. */
  readonly name?: string;
}

/** Makes black clear and leaves all else as it is: opacity is 255 times red. */
const CLEAR_BACKGROUND = "1 0 0 0 0  0 1 0 0 0  0 0 1 0 0  255 0 0 0 0";

const NAME = "contrast";

/** Return the tables of a picture that needs the browser's filter, or null. */
function tablesFor(key: Key, pictures: Pictures, contrasts: Contrasts) {
  const [contrast, domain] = [contrasts[key], pictures[key]?.domain];
  return contrast && domain ? tablesOf(contrast, domain) : null;
}

/** Return the style by which a picture gets its filter, if it needs one. */
export function filterOf(
  key: Key,
  pictures: Pictures,
  contrasts: Contrasts,
  name = NAME,
): CSSProperties {
  return tablesFor(key, pictures, contrasts) ? { filter: `url(#${name}-${key})` } : {};
}

/** The filters that show pictures of 8 bits in the contrast chosen. */
export function ContrastFilter(props: ContrastFilterProps) {
  const { pictures, contrasts, isOver, name = NAME } = props;
  return (
    <svg className="unseen" aria-hidden="true">
      {(["before", "after"] as const).map((key) => {
        const [red, green, blue] = tablesFor(key, pictures, contrasts) ?? [];
        const isClear = isOver && contrasts[key]?.map === "labels";
        if (!red) return null;
        return (
          <filter key={key} id={`${name}-${key}`} colorInterpolationFilters="sRGB">
            {isClear && <feColorMatrix values={CLEAR_BACKGROUND} />}
            <feComponentTransfer>
              <feFuncR type="table" tableValues={red} />
              <feFuncG type="table" tableValues={green} />
              <feFuncB type="table" tableValues={blue} />
            </feComponentTransfer>
          </filter>
        );
      })}
    </svg>
  );
}
