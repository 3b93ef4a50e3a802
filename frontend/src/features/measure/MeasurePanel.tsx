import {
  type Profile,
  type Shape,
  type Span,
  endOf,
  lengthOf,
  profileTable,
  rectangleOf,
  spanIn,
} from "../../measuring";
import { useWork } from "../../state/store";
import { texts } from "../../texts";
import type { Values } from "../../values";
import type { Size } from "../../view";
import type { AllValues, Key } from "../viewer/shown";
import "./measure.css";
import { type Measured, useMeasured } from "./useMeasured";
import { words } from "./words";

interface MeasurePanelProps {
  readonly shape: Shape;
  readonly span: Span | null;
  readonly keys: readonly Key[];
  readonly values: AllValues;
  /** Pictures that are scaled-down previews. */
  readonly scaled: readonly Key[];
  readonly scene: Size | null;
  /** The whole image; the pictures may be smaller copies of it. */
  readonly image: Size | null;
  /** Height and width of a pixel of the image in metres, if its file says so. */
  readonly pixelSize: readonly number[] | null;
  /** Value of pixels without data, which are not measured. */
  readonly nodata: number | null;
  onShape(shape: Shape): void;
  onDone(): void;
}

/** The numbers of what is measured on the picture. */
export function MeasurePanel(props: MeasurePanelProps) {
  const { shape, span, keys, values, scaled, scene, image, onShape, onDone } = props;
  const work = useWork();
  const own = span?.shape === shape ? span : null;
  const found = useMeasured(own, keys, values, scene, props.nodata);
  const isSmaller = scene !== null && image !== null && image.width > scene.width;
  const refusals = new Set(keys.flatMap((key) => found?.[key]?.refusal ?? []));
  return (
    <section className="measured" aria-label={words.heading}>
      <div className="measured-head">
        <fieldset className="modes">
          <legend className="unseen">{words.shape}</legend>
          {(["rectangle", "line"] as const).map((each) => (
            <label key={each}>
              <input
                type="radio"
                name="shape"
                checked={shape === each}
                onChange={() => onShape(each)}
              />
              <span>{words.shapes[each]}</span>
            </label>
          ))}
        </fieldset>
        <p className="measured-place">{own && scene && <Place {...props} chosen={own} />}</p>
        <button
          type="button"
          className="small"
          disabled={!found || !own}
          onClick={() => found && own && void work.copy(asTable(own, keys, values, found))}
        >
          {words.copy}
        </button>
        <button type="button" className="small" onClick={onDone}>
          {words.done}
        </button>
      </div>
      {[...refusals].map((each) => (
        <p key={each} className="quiet">
          {each}
        </p>
      ))}
      {found && shape === "rectangle" && (
        <StatisticsTable keys={keys} values={values} found={found} />
      )}
      {found && shape === "line" && <Profiles keys={keys} values={values} found={found} />}
      {isSmaller && <p className="quiet">{words.smaller}</p>}
      {!isSmaller && scaled.length > 0 && <p className="quiet">{words.previewed}</p>}
    </section>
  );
}

/** Where it lies and how large it is, in pixels and in the file's unit. */
function Place(props: MeasurePanelProps & { readonly chosen: Span }) {
  const { chosen, scene, image, pixelSize } = props;
  if (!scene) return null;
  const size = image ?? scene;
  const inImage = spanIn(chosen, size, scene);
  // Beside the image, where its result is larger, pixels are those of the scene.
  const span = inImage ?? chosen;
  const [down = 0, across = 0] = (inImage && pixelSize) ?? [];
  if (span.shape === "line") {
    const [from, to] = [endOf(span.from, size), endOf(span.to, size)];
    const metres = Math.hypot((to.x - from.x) * across, (to.y - from.y) * down);
    return (
      <>
        {texts.viewer.place(from.x, from.y)} → {texts.viewer.place(to.x, to.y)}{" "}
        <b>{words.length(lengthOf(span, size))}</b>
        {metres > 0 && <b>= {words.metres(metres)}</b>}
      </>
    );
  }
  const { x, y, width, height } = rectangleOf(span, size);
  return (
    <>
      {texts.viewer.place(x, y)} <b>{words.pixels(width, height)}</b>
      {across > 0 && <b>= {words.area(width * across, height * down)}</b>}
    </>
  );
}

interface FoundProps {
  readonly keys: readonly Key[];
  readonly values: AllValues;
  readonly found: Partial<Record<Key, Measured>>;
}

/** Return the name of a channel of a picture, for people. */
function nameOf(key: Key, { channels, hasAlpha = [2, 4].includes(channels) }: Values, i: number) {
  const channel = words.channel(i, channels - (hasAlpha ? 1 : 0), channels);
  return channel ? `${texts.viewer[key]}, ${channel}` : texts.viewer[key];
}

function StatisticsTable({ keys, values, found }: FoundProps) {
  return (
    <div className="measured-scroll" tabIndex={0} role="region" aria-label={words.statistics}>
      <table>
        <thead>
          <tr>
            {words.columns.map((each) => (
              <th key={each} scope="col">
                {each}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {keys.flatMap((key) =>
            (found[key]?.statistics ?? []).map((each, channel) => {
              const own = values[key];
              if (!own) return null;
              return (
                <tr key={`${key} ${channel}`}>
                  <th scope="row">{nameOf(key, own, channel)}</th>
                  <td>{words.count(each.count)}</td>
                  {[each.mean, each.deviation].map((value, i) => (
                    <td key={i}>{Number.isNaN(value) ? "–" : words.mean(value)}</td>
                  ))}
                  {[each.least, each.greatest].map((value, i) => (
                    <td key={i}>{each.count > 0 ? words.value(value, own.dtype) : "–"}</td>
                  ))}
                </tr>
              );
            }),
          )}
        </tbody>
      </table>
    </div>
  );
}

const HEIGHT = 60;

function Profiles({ keys, values, found }: FoundProps) {
  return (
    <div className="profiles">
      {keys.map((key) => {
        const [own, profile] = [values[key], found[key]?.profile];
        if (!own || !profile) return null;
        const [low, high] = rangeOf(profile);
        const [least, greatest] = [words.value(low, own.dtype), words.value(high, own.dtype)];
        const steps = Math.max(1, (profile[0]?.length ?? 1) - 1);
        return (
          <figure key={key}>
            <svg
              viewBox={`0 0 ${steps} ${HEIGHT}`}
              preserveAspectRatio="none"
              role="img"
              aria-label={words.profile(texts.viewer[key], least, greatest)}
            >
              {profile.map((each, channel) => (
                <polyline
                  key={channel}
                  className={profile.length >= 3 ? `along-${channel}` : "along-gray"}
                  points={pointsOf(each, low, high)}
                />
              ))}
            </svg>
            <figcaption>
              {texts.viewer[key]} <span>{words.range(least, greatest)}</span>
            </figcaption>
          </figure>
        );
      })}
    </div>
  );
}

function rangeOf(profile: Profile): [number, number] {
  const all = profile.flat().filter(Number.isFinite);
  return all.length > 0 ? [Math.min(...all), Math.max(...all)] : [NaN, NaN];
}

function pointsOf(values: readonly number[], low: number, high: number): string {
  return values
    .flatMap((value, i) => {
      if (!Number.isFinite(value)) return [];
      // A line of one value lies in the middle.
      const part = high > low ? (value - low) / (high - low) : 0.5;
      return [`${i},${(HEIGHT - 2 - part * (HEIGHT - 4)).toFixed(1)}`];
    })
    .join(" ");
}

/** Return what was found as CSV. */
function asTable(
  span: Span,
  keys: readonly Key[],
  values: AllValues,
  found: FoundProps["found"],
): string {
  if (span.shape === "line") {
    const [first] = keys.flatMap((key) => values[key] ?? []);
    const profiles = keys.flatMap((key) => {
      const profile = found[key]?.profile;
      return profile ? [{ name: key, profile }] : [];
    });
    return first ? profileTable(span, first, profiles) : "";
  }
  const rows = keys.flatMap((key) =>
    (found[key]?.statistics ?? []).map(({ count, mean, deviation, least, greatest }, channel) =>
      [key, channel, count, mean, deviation, least, greatest].join(","),
    ),
  );
  return `picture,channel,pixels,mean,std,min,max\n${rows.join("\n")}\n`;
}
