import { useEffect, useState } from "react";
import { plainContrast } from "../../contrast";
import { texts } from "../../texts";
import { type Point, type Size, type View, pixelAt, within } from "../../view";
import { HistogramPanel } from "./HistogramPanel";
import type { AllValues, Contrasts, Key, Pictures } from "./shown";
import type { Contrast } from "../../contrast";

interface LoupeProps {
  readonly keys: readonly Key[];
  /** Pictures that are scaled-down previews. */
  readonly scaled: readonly Key[];
  readonly pictures: Pictures;
  readonly values: AllValues;
  readonly contrasts: Contrasts;
  /** The pointer or, with keys, the middle, in pixels of the stage. */
  readonly at: Point | null;
  /** Whether screen readers are told the values; not those under a pointer. */
  readonly isTold: boolean;
  readonly view: View | null;
  readonly scene: Size | null;
  /** Size of the image, if the pictures are smaller copies of it. */
  readonly whole: Size | null;
  readonly hasHistogram: boolean;
  /** Change the contrast of a picture; null goes back to that of its values. */
  onContrast(key: Key, contrast: Contrast | null): void;
}

/** The pixel values under the pointer, and the histograms of the pictures. */
export function Loupe(props: LoupeProps) {
  const { keys, values, contrasts, hasHistogram, onContrast } = props;
  return (
    <div className="loupe">
      {hasHistogram && (
        <div className="histograms">
          {keys.map((key) => {
            const found = values[key];
            return found ? (
              <HistogramPanel
                key={key}
                title={texts.viewer[key]}
                values={found}
                contrast={contrasts[key] ?? plainContrast(found)}
                isChosen={contrasts[key] !== undefined}
                onContrast={(contrast) => onContrast(key, contrast)}
              />
            ) : null;
          })}
        </div>
      )}
      <PixelLine {...props} />
    </div>
  );
}

/** What lies under the pointer, for each picture: its place there, and its values. */
function PixelLine(props: LoupeProps) {
  const { keys, scaled, pictures, values, at, isTold, view, scene, whole } = props;
  const places = keys.map((key) => {
    const size = pictures[key]?.size;
    return {
      key,
      pixel: size && at && view && scene && pixelAt(within(view, size, scene), at, size),
    };
  });
  const [first] = places;
  const inImage = whole && at && view && scene && pixelAt(within(view, whole, scene), at, whole);
  const place = inImage ?? first?.pixel;
  const isShared = places.every(
    ({ key, pixel }) =>
      scaled.includes(key) || (pixel?.x === first?.pixel?.x && pixel?.y === first?.pixel?.y),
  );
  return (
    <p className="pixel" aria-hidden={!isTold} aria-live={isTold ? "polite" : undefined}>
      {isShared && place && texts.viewer.place(place.x, place.y)}
      {places.map(({ key, pixel }) => {
        if (!pixel) return null;
        const approximate = values[key] ? null : pictures[key]?.approximateAt;
        return (
          <span key={key}>
            {texts.viewer[key]} {!isShared && <>{texts.viewer.place(pixel.x, pixel.y)} </>}
            {approximate && at ? (
              <b>{texts.viewer.about((approximate(at) ?? []).join(" "))}</b>
            ) : (
              <PixelValues
                values={values[key]}
                x={pixel.x}
                y={pixel.y}
                isAbout={scaled.includes(key)}
              />
            )}
          </span>
        );
      })}
    </p>
  );
}

interface PixelValuesProps {
  readonly values: AllValues[Key];
  readonly x: number;
  readonly y: number;
  readonly isAbout: boolean;
}

/** The values of one pixel; until they have come from the service, three dots. */
function PixelValues({ values, x, y, isAbout }: PixelValuesProps) {
  const [found, setFound] = useState<{ words: string; place: string }>({ words: "", place: "" });
  const place = `${x} ${y}`;
  useEffect(() => {
    let isCurrent = true;
    void values?.at(x, y).then(
      (samples) => {
        if (isCurrent) setFound({ words: texts.viewer.values(samples, values.dtype), place });
      },
      () => undefined,
    );
    return () => {
      isCurrent = false;
    };
  }, [values, x, y, place]);
  const words = found.place === place ? found.words : "…";
  return <b>{isAbout ? texts.viewer.about(words) : words}</b>;
}
