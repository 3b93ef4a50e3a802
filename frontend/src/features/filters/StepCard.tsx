import { useEffect, useRef } from "react";
import { type Operation, type Step, type Value, fieldsOf, problemsOf } from "../../recipe";
import type { Refusal } from "../../state/chain";
import { useDispatch } from "../../state/store";
import { texts } from "../../texts";
import { Icon } from "../Icon";
import { FieldControl } from "./FieldControl";

interface StepCardProps {
  readonly step: Step;
  /** Missing when a restored chain names one that is no longer offered. */
  readonly operation: Operation | undefined;
  readonly place: number;
  readonly last: number;
  readonly refusal: Refusal | null;
  onRemoved(title: string): void;
}

/** One step of the chain: its place, its form, and what the API said against it. */
export function StepCard({ step, operation, place, last, refusal, onRemoved }: StepCardProps) {
  const dispatch = useDispatch();
  const title = operation?.title ?? step.operation;
  const problems = operation ? problemsOf(step, operation) : {};
  const fields = operation ? fieldsOf(operation) : [];
  const card = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (refusal) card.current?.scrollIntoView({ block: "nearest" });
  }, [refusal]);
  const isRefusalAtField = fields.some((field) => field.name === refusal?.parameter);

  function move(by: -1 | 1, button: HTMLButtonElement) {
    dispatch({ type: "step moved", id: step.id, by });
    // A card that changes its place in the page loses the focus, and so does a button that the
    // first or last place switches off: its neighbour takes over.
    requestAnimationFrame(() => {
      const buttons = button.parentElement?.querySelectorAll("button") ?? [];
      [button, ...buttons].find((each) => !each.disabled)?.focus();
    });
    const sentence = texts.filters.moved(title, place + 1 + by);
    dispatch({ type: "milestone reached", sentence });
  }

  function remove() {
    dispatch({ type: "step removed", id: step.id });
    onRemoved(title);
  }

  return (
    <li className="step" ref={card}>
      <fieldset>
        <legend>{title}</legend>
        <span className="step-place" aria-hidden="true">
          {place + 1}
        </span>
        <div className="step-buttons">
          <button
            type="button"
            className="plain"
            aria-label={texts.filters.moveUp(title)}
            disabled={place === 0}
            onClick={(event) => move(-1, event.currentTarget)}
          >
            <Icon name="up" />
          </button>
          <button
            type="button"
            className="plain"
            aria-label={texts.filters.moveDown(title)}
            disabled={place === last}
            onClick={(event) => move(1, event.currentTarget)}
          >
            <Icon name="down" />
          </button>
          <button
            type="button"
            className="plain"
            aria-label={texts.filters.remove(title)}
            onClick={remove}
          >
            <Icon name="cross" />
          </button>
        </div>
        <div className="step-body">
          <p className="quiet">{operation?.help ?? texts.filters.unknown}</p>
          {refusal && !isRefusalAtField && <p className="bad">{refusal.sentence}</p>}
          {fields.map((field) => (
            <FieldControl
              key={field.name}
              id={`${step.id}-${field.name}`}
              field={field}
              value={step.values[field.name] ?? null}
              problem={
                problems[field.name] ?? (refusal?.parameter === field.name ? refusal.sentence : "")
              }
              onChange={(value: Value) =>
                dispatch({ type: "step changed", id: step.id, parameter: field.name, value })
              }
            />
          ))}
        </div>
      </fieldset>
    </li>
  );
}
