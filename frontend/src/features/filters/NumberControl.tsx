import { type CSSProperties, type KeyboardEvent, useState } from "react";
import { type NumberField, firstNumber, tidy, toNumber } from "../../fields";
import { texts } from "../../texts";
import { type ControlProps, FieldFrame } from "./FieldControl";

/** A slider and a number field as one control; a nullable number has a box "automatic", too. */
export function NumberControl(props: ControlProps<NumberField>) {
  const { id, field, value, problem, onChange } = props;
  // The text while it is typed: "1." and "" may become a number.
  const [typed, setTyped] = useState<string | null>(null);
  const isAutomatic = value === null;
  const number = typeof value === "number" ? value : NaN;
  const [low, high] = field.slider;
  const onSlider = Number.isNaN(number) ? low : Math.min(high, Math.max(low, number));
  const fill = `${(100 * (onSlider - low)) / (high - low || 1)}%`;

  function onKey(event: KeyboardEvent) {
    const by = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (by === undefined || Number.isNaN(number)) return;
    event.preventDefault();
    setTyped(null);
    const next = tidy(number + by * field.step);
    onChange(Math.min(field.maximum, Math.max(field.minimum, next)));
  }

  return (
    <FieldFrame {...props}>
      {field.nullable && (
        <label className="automatic">
          <input
            type="checkbox"
            checked={isAutomatic}
            aria-label={texts.filters.automaticFor(field.title)}
            onChange={(event) => onChange(event.target.checked ? null : firstNumber(field))}
          />
          {texts.filters.automatic}
        </label>
      )}
      <div className="number" data-off={isAutomatic || undefined}>
        <input
          type="range"
          min={low}
          max={high}
          step={field.step}
          value={onSlider}
          disabled={isAutomatic}
          style={{ "--fill": fill } as CSSProperties}
          aria-label={texts.filters.slider(field.title)}
          aria-valuetext={`${onSlider} ${field.unit}`.trim()}
          onChange={(event) => {
            setTyped(null);
            onChange(tidy(event.target.valueAsNumber));
          }}
        />
        <span className="number-box">
          {/* Not of type "number": browsers leave out a comma in silence, so 1,5 became 15. */}
          <input
            id={id}
            type="text"
            role="spinbutton"
            inputMode="decimal"
            autoComplete="off"
            disabled={isAutomatic}
            value={typed ?? (Number.isNaN(number) ? "" : String(number))}
            aria-valuemin={finite(field.minimum)}
            aria-valuemax={finite(field.maximum)}
            aria-valuenow={Number.isNaN(number) ? undefined : number}
            aria-invalid={problem !== ""}
            aria-describedby={`${id}-help`}
            onChange={(event) => {
              setTyped(event.target.value);
              onChange(toNumber(event.target.value));
            }}
            onKeyDown={onKey}
            onBlur={() => {
              if (!Number.isNaN(number)) setTyped(null);
            }}
          />
          {field.unit && <span className="unit">{field.unit}</span>}
        </span>
      </div>
    </FieldFrame>
  );
}

function finite(limit: number): number | undefined {
  return Number.isFinite(limit) ? limit : undefined;
}
