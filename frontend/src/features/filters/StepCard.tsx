import { useEffect, useRef, useState } from "react";
import { type Field, fieldsOf } from "../../fields";
import type { Operation } from "../../operation";
import type { Step } from "../../recipe";
import type { Refusal } from "../../state/chain";
import { useDispatch } from "../../state/store";
import { texts } from "../../texts";
import { Handle } from "./Handle";
import { StepButtons } from "./StepButtons";
import { StepForm } from "./StepForm";

interface StepCardProps {
  readonly step: Step;
  /** Undefined if a restored chain has an operation that the catalogue no longer has. */
  readonly operation: Operation | undefined;
  readonly place: number;
  readonly last: number;
  /** Whether the chain has room for a copy. */
  readonly hasRoom: boolean;
  readonly refusal: Refusal | null;
  /** Whether its form is shown; otherwise one line with its most important values. */
  readonly isOpen: boolean;
  onFold(isFolded: boolean): void;
  onRemoved(title: string): void;
}

/** One step of the chain: its position, its form, and the API's error about it. */
export function StepCard(props: StepCardProps) {
  const { step, operation, place, last, hasRoom, refusal, isOpen, onFold, onRemoved } = props;
  const [isHelpShown, setHelpShown] = useState(false);
  const dispatch = useDispatch();
  const title = operation?.title ?? step.operation;
  const card = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (refusal) onFold(false);
    if (refusal) card.current?.scrollIntoView({ block: "nearest" });
  }, [refusal]);

  function move(by: -1 | 1) {
    dispatch({ type: "step moved", id: step.id, by });
    // A card that moves in the page loses the focus, and so does a menu that closes.
    requestAnimationFrame(() => card.current?.querySelector<HTMLElement>(".handle")?.focus());
    const sentence = texts.filters.moved(title, place + 1 + by);
    dispatch({ type: "milestone reached", sentence });
  }

  return (
    <li className={step.isOff ? "step step-off" : "step"} ref={card}>
      <fieldset onPointerUp={() => dispatch({ type: "edit ended" })}>
        <legend>
          <button
            type="button"
            className="plain fold"
            aria-expanded={isOpen}
            onClick={() => onFold(isOpen)}
          >
            {title}
          </button>
        </legend>
        <Handle step={step} place={place} last={last} title={title} onMove={move} />
        <StepButtons
          step={step}
          operation={operation}
          place={place}
          last={last}
          hasRoom={hasRoom}
          onHelp={() => {
            setHelpShown(!isHelpShown);
            if (!isOpen) onFold(false);
          }}
          onMove={move}
          onRemoved={onRemoved}
        />
        {!isOpen && operation && !step.isOff && (
          <p className="step-summary quiet">{summaryOf(step, fieldsOf(operation))}</p>
        )}
        <div className="step-body" hidden={step.isOff || !isOpen}>
          {!operation && <p className="quiet">{texts.filters.unknown}</p>}
          {operation && isHelpShown && (
            <p className="quiet">
              {operation.help} <code>{operation.source}</code>
            </p>
          )}
          {step.isKept && <p className="quiet">{texts.inputs.kept}</p>}
          {operation && (
            <StepForm
              step={step}
              operation={operation}
              place={place}
              refusal={refusal}
              isHelpShown={isHelpShown}
            />
          )}
          {!operation && refusal && <p className="bad">{refusal.sentence}</p>}
        </div>
      </fieldset>
    </li>
  );
}

/** Return the values of a folded step in a line: the first, and those that were changed. */
function summaryOf({ values }: Step, fields: readonly Field[]): string {
  const told = fields.filter((field, i) => {
    const isChanged = String(values[field.name]) !== String(field.default);
    return isChanged || (i === 0 && field.kind !== "switch");
  });
  return told
    .slice(0, 3)
    .map((field) => texts.filters.summary(field, values[field.name] ?? null))
    .join(", ");
}
