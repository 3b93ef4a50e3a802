import { type RefObject, useRef, useState } from "react";
import type { Operation } from "../../operation";
import { newStep } from "../../recipe";
import { CROP } from "../../cropping";
import { STEPS_MAX } from "../../state/chain";
import { useDispatch, useSelected, useWork } from "../../state/store";
import { texts } from "../../texts";
import { Icon } from "../Icon";
import { loadable } from "../loadable";
import { randomHex } from "../../work/random";
import { Presets, RecipeMenu, UndoButtons } from "../recipe/RecipeMenu";

import "./filters.css";
import "./picker.css";

export const OutputPanel = loadable(async () => (await import("./OutputPanel")).OutputPanel);
const ReadingPanel = loadable(async () => (await import("../reading/ReadingPanel")).ReadingPanel);
export const StepCard = loadable(async () => (await import("./StepCard")).StepCard);
// With the pictures of all operations.
export const Picker = loadable(async () => (await import("./Picker")).Picker);

/** Filters whose forms stay open when another one is added. */
const OPEN_MOST = 3;

export function Filters() {
  const { steps, refusal } = useSelected((state) => state.chain);
  const catalogue = useSelected((state) => state.catalogue);
  const dispatch = useDispatch();
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const addButton = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLOListElement>(null);

  function fold(id: string, isFolded: boolean) {
    setFolded((was) => {
      const next = new Set(was);
      if (isFolded) next.add(id);
      else next.delete(id);
      return next;
    });
  }

  function showLast() {
    // In a long chain only the new filter's form stays open.
    if (steps.length >= OPEN_MOST) setFolded(new Set(steps.map(({ id }) => id)));
    requestAnimationFrame(() =>
      list.current?.lastElementChild?.scrollIntoView({ block: "nearest" }),
    );
  }

  function removed(title: string) {
    dispatch({ type: "milestone reached", sentence: texts.filters.removed(title) });
    addButton.current?.focus();
  }

  return (
    <section className="column filters" aria-labelledby="filters-heading">
      <div className="column-head">
        <h2 id="filters-heading">
          {texts.filters.heading}{" "}
          {steps.length > 0 && <span className="count">{steps.length}</span>}
        </h2>
        {catalogue.status === "ready" && (
          <div className="column-tools">
            <UndoButtons />
            <RecipeMenu />
          </div>
        )}
      </div>
      <div className="filters-body">
        <div className="column-body">
          {catalogue.status === "ready" ? (
            <Adding button={addButton} onAdded={showLast} />
          ) : (
            <CatalogueState />
          )}
          {catalogue.status === "ready" && steps.length === 0 && (
            <div className="presets">
              <p className="quiet">{texts.filters.empty}</p>
              <p className="presets-title">{texts.presets.begin}</p>
              <Presets />
            </div>
          )}
          <ol className="steps" ref={list}>
            {steps.map((step, place) => (
              <StepCard
                key={step.id}
                step={step}
                operation={catalogue.operations.find((each) => each.name === step.operation)}
                place={place}
                last={steps.length - 1}
                hasRoom={steps.length < STEPS_MAX}
                refusal={refusal?.step === step.id ? refusal : null}
                isOpen={!folded.has(step.id)}
                onFold={(isFolded) => fold(step.id, isFolded)}
                onRemoved={removed}
              />
            ))}
          </ol>
        </div>
        <ReadingPanel />
        <OutputPanel />
      </div>
    </section>
  );
}

interface AddingProps {
  readonly button: RefObject<HTMLButtonElement | null>;
  onAdded(): void;
}

/** The button that opens the picker, and the picker. */
function Adding({ button, onAdded }: AddingProps) {
  const [isOpen, setOpen] = useState(false);
  const steps = useSelected((state) => state.chain.steps);
  const dispatch = useDispatch();

  function close() {
    setOpen(false);
    requestAnimationFrame(() => button.current?.focus());
  }

  function add(operation: Operation) {
    const step = newStep(operation, randomHex(4));
    dispatch({ type: "step added", step });
    if (operation.name === CROP) dispatch({ type: "drawing turned", id: step.id });
    const sentence = texts.filters.added(operation.title, steps.length + 1);
    dispatch({ type: "milestone reached", sentence });
    close();
    onAdded();
  }

  const isFull = steps.length >= STEPS_MAX;
  return (
    <div className="adding-step">
      <button
        type="button"
        ref={button}
        className="wide"
        aria-haspopup="dialog"
        aria-keyshortcuts="/"
        data-shortcut="add-filter"
        disabled={isFull}
        onClick={() => setOpen(true)}
      >
        <Icon name="plus" />
        {texts.filters.add}
        <kbd aria-hidden="true">/</kbd>
      </button>
      {isFull && <p className="quiet">{texts.filters.full(STEPS_MAX)}</p>}
      {isOpen && <Picker onPick={add} onClose={close} />}
    </div>
  );
}

function CatalogueState() {
  const status = useSelected((state) => state.catalogue.status);
  const work = useWork();
  if (status === "loading") return <p className="quiet">{texts.filters.loading}</p>;
  return (
    <div className="catalogue-failed">
      <p>{texts.filters.failed}</p>
      <button type="button" onClick={() => void work.loadCatalogue().then(work.loadTexts)}>
        {texts.filters.tryAgain}
      </button>
    </div>
  );
}
