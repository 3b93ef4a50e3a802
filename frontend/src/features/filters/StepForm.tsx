import { type ReactNode, useEffect, useState } from "react";
import { CROP } from "../../cropping";
import { RESIZING } from "../../geometry";
import { IMAGE, type InputField, inputsOf, readProblems } from "../../inputs";
import { type Field, fieldsOf } from "../../fields";
import type { Operation } from "../../operation";
import { type Step, problemsOf } from "../../recipe";
import type { Refusal } from "../../state/chain";
import { useDispatch, useSelected } from "../../state/store";
import { texts } from "../../texts";
import { Icon } from "../Icon";
import { CropControl } from "./CropControl";
import { FieldControl } from "./FieldControl";
import { InputControl } from "./InputControl";
import { SizeControl, isOfSize } from "./SizeControl";

interface StepFormProps {
  readonly step: Step;
  readonly operation: Operation;
  /** Place of the step in the chain, from 0. */
  readonly place: number;
  readonly refusal: Refusal | null;
  readonly isHelpShown: boolean;
}

/** The choice of another image than that of the step before. */
const OTHER_IMAGE: InputField = {
  name: IMAGE,
  title: texts.inputs.titles[IMAGE] ?? IMAGE,
  help: "",
  required: false,
};

/** The form of a step: what it reads, its parameters, and the fine settings folded away. */
export function StepForm({ step, operation, place, refusal, isHelpShown }: StepFormProps) {
  const dispatch = useDispatch();
  const steps = useSelected((state) => state.chain.steps);
  const problems = { ...readProblems(step, steps, operation), ...problemsOf(step, operation) };
  const problemAt = (name: string) =>
    problems[name] ?? (refusal?.parameter === name ? refusal.sentence : "");
  const isResizing = RESIZING.includes(step.operation);
  const { fields, fine, inputs, fineInputs } = partsOf(step, operation, place);
  const isElsewhere = [...fieldsOf(operation), ...inputs].every(
    ({ name }) => name !== refusal?.parameter,
  );
  // Fine settings with another value than the default, or with an error, must be visible.
  const isFineShown =
    fine.some(
      ({ name, default: usual }) =>
        String(step.values[name]) !== String(usual) || problemAt(name) !== "",
    ) || fineInputs.some(({ name }) => (step.reads[name] ?? "") !== "" || problemAt(name) !== "");

  const control = (field: Field) => (
    <FieldControl
      key={field.name}
      id={`${step.id}-${field.name}`}
      field={field}
      value={step.values[field.name] ?? null}
      problem={problemAt(field.name)}
      onChange={(value) =>
        dispatch({ type: "step changed", id: step.id, parameter: field.name, value })
      }
    />
  );

  const choice = (input: InputField) => (
    <InputControl
      key={input.name}
      step={step}
      input={input}
      none={input === OTHER_IMAGE ? texts.inputs.before : texts.inputs.none}
      problem={problemAt(input.name)}
    />
  );

  const isEmpty = fields.length + fine.length + inputs.length === 0 && !isResizing;
  return (
    <>
      {isEmpty && !isHelpShown && <p className="quiet">{texts.filters.noFields}</p>}
      {refusal && isElsewhere && <p className="bad">{refusal.sentence}</p>}
      {isResizing && <SizeControl step={step} operation={operation} problemAt={problemAt} />}
      {operation.name === CROP && <CropControl step={step} />}
      {inputs.map(choice)}
      {fields.map(control)}
      {fine.length + fineInputs.length > 0 && (
        <Fine isNeeded={isFineShown} title={operation.title}>
          {fine.map(control)}
          {fineInputs.map(choice)}
        </Fine>
      )}
    </>
  );
}

/** Part what a step can be told: shown at once, folded away, and the same for images it reads. */
function partsOf(step: Step, operation: Operation, place: number) {
  const isResizing = RESIZING.includes(step.operation);
  const isFine = ({ name, fine }: Field) => fine || (isResizing && !isOfSize(name));
  const all = fieldsOf(operation);
  const reads = inputsOf(operation);
  // Images that an operation needs, and what is measured, come first.
  const inputs = reads.filter(({ required }) => required || step.isTable);
  const others = reads.filter((each) => !inputs.includes(each));
  return {
    // Sizes have a form of their own.
    fields: all.filter((field) => !isFine(field) && !(isResizing && isOfSize(field.name))),
    fine: all.filter(isFine),
    inputs,
    fineInputs: place > 0 ? [...others, OTHER_IMAGE] : others,
  };
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
