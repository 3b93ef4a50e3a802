import { useState } from "react";
import { RESIZING, fitted, resizedAs, sizeAfter } from "../../geometry";
import { type Field, type NumberField, fieldsOf } from "../../fields";
import type { Operation, Value } from "../../operation";
import type { Step } from "../../recipe";
import { useDispatch, useSelected } from "../../state/store";
import { texts } from "../../texts";
import type { Size } from "../../view";
import { Icon } from "../Icon";
import { useSelectedImage, useSizeBefore } from "../useSize";
import { FieldControl } from "./FieldControl";

interface SizeControlProps {
  readonly step: Step;
  readonly operation: Operation;
  problemAt(name: string): string;
}

const LONGEST = [1024, 1920, 2048, 3840];
const PERCENT = [25, 50, 75, 200];

/** Width and height, longest side, or percent: three operations that resize, as one form. */
export function SizeControl({ step, operation, problemAt }: SizeControlProps) {
  const dispatch = useDispatch();
  const operations = useSelected((state) => state.catalogue.operations);
  const size = useSizeBefore(useSelectedImage(), step.id);
  const [isLocked, setLocked] = useState(true);
  const offered = RESIZING.filter((name) => operations.some((each) => each.name === name));
  const fields = fieldsOf(operation).filter(({ name }) => isOfSize(name));

  function change(values: Readonly<Record<string, Value>>) {
    dispatch({ type: "step replaced", id: step.id, operation: step.operation, values });
  }

  function turnTo(name: string) {
    const found = operations.find((each) => each.name === name);
    if (!found || name === step.operation) return;
    const from = size ?? { width: 1024, height: 1024 };
    const values = resizedAs(step, name, from);
    dispatch({ type: "step replaced", id: step.id, operation: name, values });
  }

  /** Set one side; with the lock the other one follows in proportion. */
  function setSide(field: Field, value: Value) {
    const isLockedNow = isLocked && step.operation === "resize" && size !== null;
    const other = field.name === "rows" ? "columns" : "rows";
    const by =
      size && (field.name === "rows" ? size.width / size.height : size.height / size.width);
    const followed = isLockedNow && by && typeof value === "number" && value >= 1;
    change({
      ...step.values,
      [field.name]: value,
      ...(followed && { [other]: Math.max(1, Math.round(value * by)) }),
    });
  }

  function take(preset: number) {
    if (step.operation === "rescale") {
      return change({ ...step.values, scale: preset / 100, scale_columns: null });
    }
    if (step.operation === "resize_longest_side") {
      return change({ ...step.values, longest_side: preset });
    }
    const { width, height } = size ? fitted(size, preset, true) : { width: preset, height: preset };
    change({ ...step.values, rows: height, columns: width });
  }

  const presets = step.operation === "rescale" ? PERCENT : LONGEST;
  return (
    <div className="size-control">
      <div className="modes size-modes" role="radiogroup" aria-label={texts.resizing.modes}>
        {offered.map((name) => (
          <label key={name}>
            <input
              type="radio"
              name={`${step.id}-size`}
              checked={step.operation === name}
              onChange={() => turnTo(name)}
            />
            <span>{texts.resizing.names[name]}</span>
          </label>
        ))}
      </div>
      {fields.map((field) => (
        <FieldControl
          key={field.name}
          id={`${step.id}-${field.name}`}
          field={field.name === "scale" ? percentField(field) : field}
          value={shownValue(field, step.values[field.name] ?? null)}
          problem={problemAt(field.name)}
          onChange={(value) => setSide(field, storedValue(field, value))}
        />
      ))}
      {step.operation === "resize" && (
        <button
          type="button"
          className="small"
          aria-pressed={isLocked}
          disabled={!size}
          onClick={() => setLocked(!isLocked)}
        >
          <Icon name={isLocked ? "lock" : "unlock"} />
          {texts.resizing.lock}
        </button>
      )}
      <div className="size-presets" role="group" aria-label={texts.resizing.presets}>
        {presets.map((each) => (
          <button key={each} type="button" className="chip" onClick={() => take(each)}>
            {step.operation === "rescale" ? texts.percent(each / 100) : each}
          </button>
        ))}
      </div>
      <SizeNote step={step} operation={operation} size={size} />
    </div>
  );
}

function SizeNote({
  step,
  operation,
  size,
}: Omit<SizeControlProps, "problemAt"> & { size: Size | null }) {
  const after = size && sizeAfter(step, size, operation);
  const isMany = useSelected(({ images }) => images.items.length > 1);
  return (
    <p className="quiet">
      {size && after && texts.resizing.becomes(size, after)}{" "}
      {isMany && step.operation === "resize" && texts.resizing.stretches}
    </p>
  );
}

/** Return whether a parameter is shown here; the others follow as usual. */
export function isOfSize(name: string): boolean {
  return ["rows", "columns", "longest_side", "enlarge", "scale"].includes(name);
}

function percentField(field: Field): Field {
  if (field.kind !== "number") return field;
  const percent: Partial<NumberField> = {
    title: texts.resizing.percent,
    unit: "%",
    minimum: 100 * field.minimum,
    maximum: 100 * field.maximum,
    slider: [100 * field.slider[0], 100 * field.slider[1]],
    step: 1,
    default: field.default === null ? null : 100 * field.default,
  };
  return { ...field, ...percent };
}

function shownValue({ name }: Field, value: Value): Value {
  return name === "scale" && typeof value === "number" ? Math.round(1e6 * value) / 1e4 : value;
}

function storedValue({ name }: Field, value: Value): Value {
  return name === "scale" && typeof value === "number" ? Math.round(1e4 * value) / 1e6 : value;
}
