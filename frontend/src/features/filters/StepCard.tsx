import {
  type KeyboardEvent,
  type PointerEvent,
  type ReactNode,
  useEffect,
  useRef,
  useState,
} from "react";
import { RESIZING } from "../../geometry";
import {
  type Field,
  type Operation,
  type Step,
  type Value,
  fieldsOf,
  problemsOf,
} from "../../recipe";
import type { Refusal } from "../../state/chain";
import { useDispatch } from "../../state/store";
import { texts } from "../../texts";
import { randomHex } from "../../work/random";
import { Icon, type IconName } from "../Icon";
import { FieldControl } from "./FieldControl";
import { SizeControl, isOfSize } from "./SizeControl";

interface StepCardProps {
  readonly step: Step;
  /** Undefined if a restored chain has an operation that the catalogue no longer has. */
  readonly operation: Operation | undefined;
  readonly place: number;
  readonly last: number;
  /** Whether the chain has room for a copy. */
  readonly hasRoom: boolean;
  readonly refusal: Refusal | null;
  onRemoved(title: string): void;
}

/** One step of the chain: its position, its form, and the API's error about it. */
export function StepCard(props: StepCardProps) {
  const { step, operation, place, last, hasRoom, refusal, onRemoved } = props;
  const dispatch = useDispatch();
  const title = operation?.title ?? step.operation;
  const problems = operation ? problemsOf(step, operation) : {};
  const fields = operation ? fieldsOf(operation) : [];
  const card = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (refusal) card.current?.scrollIntoView({ block: "nearest" });
  }, [refusal]);
  const isRefusalAtField = fields.some((field) => field.name === refusal?.parameter);
  const fine = fields.filter((field) => field.fine);
  // Fine settings with another value than the default, or with an error, must be visible.
  const isFineShown = fine.some(
    (field) =>
      String(step.values[field.name]) !== String(field.default) || problemAt(field.name) !== "",
  );

  const isInSize = ({ name }: Field) => RESIZING.includes(step.operation) && isOfSize(name);

  function problemAt(name: string): string {
    return problems[name] ?? (refusal?.parameter === name ? refusal.sentence : "");
  }

  function control(field: Field) {
    return (
      <FieldControl
        key={field.name}
        id={`${step.id}-${field.name}`}
        field={field}
        value={step.values[field.name] ?? null}
        problem={problemAt(field.name)}
        onChange={(value: Value) =>
          dispatch({ type: "step changed", id: step.id, parameter: field.name, value })
        }
      />
    );
  }

  function move(by: -1 | 1, button: HTMLButtonElement) {
    dispatch({ type: "step moved", id: step.id, by });
    // A card that moves in the page loses the focus. A button that is disabled at the first or
    // last position loses it, too; then focus another button.
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

  function tool(icon: IconName, label: string, onClick: () => void, isOff = false) {
    return (
      <button
        type="button"
        className="plain tool"
        aria-label={label}
        title={label}
        disabled={isOff}
        onClick={onClick}
      >
        <Icon name={icon} />
      </button>
    );
  }

  return (
    <li className={step.isOff ? "step step-off" : "step"} ref={card}>
      <fieldset onPointerUp={() => dispatch({ type: "edit ended" })}>
        <legend>{title}</legend>
        <Handle step={step} place={place} last={last} title={title} onMove={move} />
        <div className="step-buttons">
          <button
            type="button"
            className="plain tool"
            aria-label={texts.filters.moveUp(title)}
            title={texts.filters.moveUp(title)}
            disabled={place === 0}
            onClick={(event) => move(-1, event.currentTarget)}
          >
            <Icon name="up" />
          </button>
          <button
            type="button"
            className="plain tool"
            aria-label={texts.filters.moveDown(title)}
            title={texts.filters.moveDown(title)}
            disabled={place === last}
            onClick={(event) => move(1, event.currentTarget)}
          >
            <Icon name="down" />
          </button>
          {tool(
            step.isOff ? "eyeOff" : "eye",
            step.isOff ? texts.filters.switchOn(title) : texts.filters.switchOff(title),
            () => dispatch({ type: "step switched", id: step.id }),
          )}
          {tool(
            "copy",
            texts.filters.duplicate(title),
            () => dispatch({ type: "step duplicated", id: step.id, copy: randomHex(4) }),
            !hasRoom,
          )}
          {tool("cross", texts.filters.remove(title), remove)}
        </div>
        <div className="step-body" hidden={step.isOff}>
          <p className="quiet">{operation?.help ?? texts.filters.unknown}</p>
          {refusal && !isRefusalAtField && <p className="bad">{refusal.sentence}</p>}
          {operation && RESIZING.includes(operation.name) && (
            <SizeControl step={step} operation={operation} problemAt={problemAt} />
          )}
          {fields.filter((field) => !field.fine && !isInSize(field)).map(control)}
          {fine.length > 0 && (
            <Fine isNeeded={isFineShown} title={title}>
              {fine.map(control)}
            </Fine>
          )}
        </div>
      </fieldset>
    </li>
  );
}

interface FineProps {
  /** Whether a setting in it was changed or has an error; it then opens by itself. */
  readonly isNeeded: boolean;
  readonly title: string;
  readonly children: ReactNode;
}

/** The fine settings, which most visitors never change: folded away. */
function Fine({ isNeeded, title, children }: FineProps) {
  const [isOpen, setOpen] = useState(isNeeded);
  useEffect(() => {
    if (isNeeded) setOpen(true);
  }, [isNeeded]);
  return (
    <>
      <button
        type="button"
        className="plain fine"
        aria-expanded={isOpen}
        aria-label={texts.filters.fineOf(title)}
        onClick={() => setOpen(!isOpen)}
      >
        {texts.filters.fine}
        <Icon name="chevron" />
      </button>
      {isOpen && children}
    </>
  );
}

interface HandleProps {
  readonly step: Step;
  readonly place: number;
  readonly last: number;
  readonly title: string;
  onMove(by: -1 | 1, button: HTMLButtonElement): void;
}

/** The handle with which a card is dragged to another position, or moved with the arrow keys. */
function Handle({ step, place, last, title, onMove }: HandleProps) {
  const dispatch = useDispatch();
  const button = useRef<HTMLButtonElement>(null);
  const now = useRef(place);
  now.current = place;
  const [isDragged, setDragged] = useState(false);

  function drag(event: PointerEvent<HTMLButtonElement>) {
    if (event.button !== 0) return;
    setDragged(true);
    // Do not capture the pointer: a card loses a captured pointer when it moves in the page.
    const over = ({ clientY }: globalThis.PointerEvent) => {
      const place = placeAt(button.current, now.current, clientY);
      if (place !== now.current) dispatch({ type: "step placed", id: step.id, place });
    };
    const end = () => {
      window.removeEventListener("pointermove", over);
      window.removeEventListener("pointerup", end);
      window.removeEventListener("pointercancel", end);
      setDragged(false);
      dispatch({ type: "edit ended" });
      dispatch({
        type: "milestone reached",
        sentence: texts.filters.moved(title, now.current + 1),
      });
    };
    window.addEventListener("pointermove", over);
    window.addEventListener("pointerup", end);
    window.addEventListener("pointercancel", end);
  }

  function onKey(event: KeyboardEvent<HTMLButtonElement>) {
    const by = event.key === "ArrowUp" ? -1 : event.key === "ArrowDown" ? 1 : null;
    if (by === null) return;
    event.preventDefault();
    if (place + by >= 0 && place + by <= last) onMove(by, event.currentTarget);
  }

  return (
    <button
      type="button"
      ref={button}
      className="plain handle"
      data-dragged={isDragged || undefined}
      aria-label={texts.filters.drag(title, place + 1)}
      title={texts.filters.dragHint}
      onPointerDown={drag}
      onKeyDown={onKey}
    >
      <Icon name="grip" />
      <span className="step-place">{place + 1}</span>
    </button>
  );
}

/** Return the position of a dragged card; it passes a neighbour at the neighbour's middle. */
function placeAt(handle: HTMLElement | null, place: number, y: number): number {
  const cards = handle?.closest("ol")?.children;
  const middle = (index: number) => {
    const box = cards?.[index]?.getBoundingClientRect();
    return box ? box.top + box.height / 2 : NaN;
  };
  if (y < middle(place - 1)) return place - 1;
  if (y > middle(place + 1)) return place + 1;
  return place;
}
