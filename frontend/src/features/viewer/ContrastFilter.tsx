import type { CSSProperties } from "react";
import { tablesOf } from "../../contrast";
import type { Contrasts, Key, Pictures } from "./shown";

interface ContrastFilterProps {
  readonly pictures: Pictures;
  readonly contrasts: Contrasts;
}

/** Return the tables of a picture that needs the browser's filter, or null. */
function tablesFor(key: Key, { pictures, contrasts }: ContrastFilterProps) {
  const [contrast, domain] = [contrasts[key], pictures[key]?.domain];
  return contrast && domain ? tablesOf(contrast, domain) : null;
}

/** Return the style by which a picture gets its filter, if it needs one. */
export function filterOf(key: Key, pictures: Pictures, contrasts: Contrasts): CSSProperties {
  return tablesFor(key, { pictures, contrasts }) ? { filter: `url(#contrast-${key})` } : {};
}

/** The filters that show pictures of 8 bits in the contrast chosen. */
export function ContrastFilter(props: ContrastFilterProps) {
  return (
    <svg className="unseen" aria-hidden="true">
      {(["before", "after"] as const).map((key) => {
        const [red, green, blue] = tablesFor(key, props) ?? [];
        if (!red) return null;
        return (
          <filter key={key} id={`contrast-${key}`} colorInterpolationFilters="sRGB">
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
