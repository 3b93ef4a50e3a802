import { useEffect, useId, useState } from "react";
import type { Facts } from "../../fileFacts";
import { fileTexts } from "../../fileTexts";
import { factsOf } from "../../raster/facts";
import { type Axis, planeAt } from "../../raster/planes";

import "./reading.css";

/** Place of a plane along each axis of its file, from 0. */
export type PlanePlace = Readonly<Record<string, number>>;

/** Return what a file is; null if that is not known, as of a plain picture. */
export function useFacts(file: File | null): Facts | null {
  const [found, setFound] = useState<{ file: File; facts: Facts | null } | null>(null);
  useEffect(() => {
    if (!file) return;
    let isCurrent = true;
    void factsOf(file).then((facts) => {
      if (isCurrent) setFound({ file, facts });
    });
    return () => {
      isCurrent = false;
    };
  }, [file]);
  return found !== null && found.file === file ? found.facts : null;
}

/** Return what a file of several planes is; null for others. */
export function planesOf(facts: Facts | null): Facts | null {
  return facts && facts.axes.length > 0 ? facts : null;
}

/** Return the number of a plane in its file, from 0. */
export function planeOf(facts: Facts | null, place: PlanePlace): number {
  return facts ? planeAt(facts.axes as readonly Axis[], place) : 0;
}

interface PlaneSlidersProps {
  readonly facts: Facts;
  readonly place: PlanePlace;
  onPlace(place: PlanePlace): void;
}

/** A slider for each axis along which a file has several planes: which of them is looked at. */
export function PlaneSliders({ facts, place, onPlace }: PlaneSlidersProps) {
  const id = useId();
  return (
    <fieldset className="plane-sliders">
      <legend className="unseen">{fileTexts.sliders}</legend>
      {facts.axes.map(({ axis, planes }) => {
        const at = Math.min(place[axis] ?? 0, planes - 1);
        const name = axis === "c" ? (facts.names[at] ?? "") : "";
        const colour = axis === "c" ? facts.colours[at] : "";
        const words = fileTexts.slider(axis, at, planes);
        return (
          <div key={axis} style={{ display: "contents" }}>
            <label htmlFor={id + axis}>
              {colour && <i style={{ background: colour }} />}
              {name ? `${words}: ${name}` : words}
            </label>
            <input
              id={id + axis}
              type="range"
              min={0}
              max={planes - 1}
              step={1}
              value={at}
              aria-valuetext={name ? `${words}: ${name}` : words}
              onChange={({ target }) => onPlace({ ...place, [axis]: target.valueAsNumber })}
            />
          </div>
        );
      })}
    </fieldset>
  );
}
