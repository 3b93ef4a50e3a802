import {
  type KeyboardEvent,
  type PointerEvent,
  type ReactNode,
  useEffect,
  useRef,
  useState,
} from "react";
import { CROP } from "../../cropping";
import { RESIZING } from "../../geometry";
import { IMAGE, type InputField, inputsOf, readProblems } from "../../inputs";
import {
  type Field,
  type Operation,
  type Step,
  type Value,
  defaultsOf,
  fieldsOf,
  problemsOf,
} from "../../recipe";
import type { Refusal } from "../../state/chain";
import { useDispatch, useSelected } from "../../state/store";
import { texts } from "../../texts";
import { randomHex } from "../../work/random";
import { Icon, type IconName } from "../Icon";
import { Menu } from "../Menu";
import { CropControl } from "./CropControl";
import { InputControl } from "./InputControl";
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
  /** Whether its form is shown; otherwise one line with its most important values. */
  readonly isOpen: boolean;
  onFold(isFolded: boolean): void;
  onRemoved(title: string): void;
}

/** The choice of another image than that of the step before. */
const OTHER_IMAGE: InputField = {
  name: IMAGE,
  title: texts.inputs.titles[IMAGE] ?? IMAGE,
  help: "",
  required: false,
};

/** One step of the chain: its position, its form, and the API's error about it. */
export function StepCard(props: StepCardProps) {
  const { step, operation, place, last, hasRoom, refusal, isOpen, onFold, onRemoved } = props;
  const [isHelpShown, setHelpShown] = useState(false);
  const dispatch = useDispatch();
  const title = operation?.title ?? step.operation;
  const steps = useSelected((state) => state.chain.steps);
  const problems = operation ? problemsOf(step, operation) : {};
  const inputs = operation ? inputsOf(operation) : [];
  const inputProblems = operation ? readProblems(step, steps, operation) : {};
  const fields = operation ? fieldsOf(operation) : [];
  const card = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (refusal) onFold(false);
    if (refusal) card.current?.scrollIntoView({ block: "nearest" });
  }, [refusal]);
  const isRefusalAtField = [...fields, ...inputs].some(({ name }) => name === refusal?.parameter);
  const isFine = (field: Field) =>
    field.fine || (RESIZING.includes(step.operation) && !isOfSize(field.name));
  const fine = fields.filter(isFine);
  // Second images that an operation needs, and what is measured, come first; others are fine.
  const first = inputs.filter(({ required }) => required || step.isTable);
  const fineInputs = inputs.filter((each) => !first.includes(each));
  if (place > 0) fineInputs.push(OTHER_IMAGE);
  // Fine settings with another value than the default, or with an error, must be visible.
  const isFineShown = fine.some(
    (field) =>
      String(step.values[field.name]) !== String(field.default) || problemAt(field.name) !== "",
  );
  const isInputShown = fineInputs.some(
    ({ name }) => (step.reads[name] ?? "") !== "" || problemAt(name) !== "",
  );

  const isInSize = ({ name }: Field) => RESIZING.includes(step.operation) && isOfSize(name);

  function problemAt(name: string): string {
    return (
      problems[name] ?? inputProblems[name] ?? (refusal?.parameter === name ? refusal.sentence : "")
    );
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

  function choice(input: InputField) {
    return (
      <InputControl
        key={input.name}
        step={step}
        input={input}
        none={input === OTHER_IMAGE ? texts.inputs.before : texts.inputs.none}
        problem={problemAt(input.name)}
      />
    );
  }

  function move(by: -1 | 1) {
    dispatch({ type: "step moved", id: step.id, by });
    // A card that moves in the page loses the focus, and so does a menu that closes.
    requestAnimationFrame(() => card.current?.querySelector<HTMLElement>(".handle")?.focus());
    const sentence = texts.filters.moved(title, place + 1 + by);
    dispatch({ type: "milestone reached", sentence });
  }

  function reset({ name }: Operation) {
    const values = operation ? defaultsOf(operation) : {};
    dispatch({ type: "step replaced", id: step.id, operation: name, values });
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
        <div className="step-buttons">
          {operation &&
            tool("help", texts.filters.helpOn(title), () => {
              setHelpShown(!isHelpShown);
              if (!isOpen) onFold(false);
            })}
          {tool(
            step.isOff ? "eyeOff" : "eye",
            step.isOff ? texts.filters.switchOn(title) : texts.filters.switchOff(title),
            () => dispatch({ type: "step switched", id: step.id }),
          )}
          <Menu label={<Icon name="dots" />} title={texts.filters.more(title)} isIcon>
            <button type="button" disabled={place === 0} onClick={() => move(-1)}>
              {texts.filters.moveUp(title)}
            </button>
            <button type="button" disabled={place === last} onClick={() => move(1)}>
              {texts.filters.moveDown(title)}
            </button>
            <button
              type="button"
              disabled={!hasRoom}
              onClick={() => dispatch({ type: "step duplicated", id: step.id, copy: randomHex(4) })}
            >
              {texts.filters.duplicate(title)}
            </button>
            {!step.isTable && (
              <button type="button" onClick={() => dispatch({ type: "step kept", id: step.id })}>
                {step.isKept ? texts.inputs.keepNot : texts.inputs.keep}
              </button>
            )}
            {operation && (
              <button type="button" onClick={() => reset(operation)}>
                {texts.filters.reset(title)}
              </button>
            )}
          </Menu>
          {tool("cross", texts.filters.remove(title), remove)}
        </div>
        {!isOpen && operation && !step.isOff && (
          <p className="step-summary quiet">{summaryOf(step, fields)}</p>
        )}
        <div className="step-body" hidden={step.isOff || !isOpen}>
          {!operation && <p className="quiet">{texts.filters.unknown}</p>}
          {operation && isHelpShown && (
            <p className="quiet">
              {operation.help} <code>{operation.source}</code>
            </p>
          )}
          {step.isKept && <p className="quiet">{texts.inputs.kept}</p>}
          {operation && fields.length + first.length === 0 && !isHelpShown && (
            <p className="quiet">{texts.filters.noFields}</p>
          )}
          {refusal && !isRefusalAtField && <p className="bad">{refusal.sentence}</p>}
          {operation && RESIZING.includes(operation.name) && (
            <SizeControl step={step} operation={operation} problemAt={problemAt} />
          )}
          {operation?.name === CROP && <CropControl step={step} />}
          {first.map(choice)}
          {fields.filter((field) => !isFine(field) && !isInSize(field)).map(control)}
          {fine.length + fineInputs.length > 0 && (
            <Fine isNeeded={isFineShown || isInputShown} title={title}>
              {fine.map(control)}
              {fineInputs.map(choice)}
            </Fine>
          )}
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
  onMove(by: -1 | 1): void;
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
    if (place + by >= 0 && place + by <= last) onMove(by);
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
