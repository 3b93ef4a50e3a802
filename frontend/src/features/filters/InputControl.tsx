import { type InputField, ORIGINAL, earlierImages } from "../../inputs";
import type { Step } from "../../recipe";
import { useDispatch, useSelected } from "../../state/store";
import { texts } from "../../texts";

interface InputControlProps {
  readonly step: Step;
  readonly input: InputField;
  /** What it says if no image is chosen. */
  readonly none: string;
  readonly problem: string;
}

/** The choice of an image that a step reads: the original, or that of an earlier step. */
export function InputControl({ step, input, none, problem }: InputControlProps) {
  const dispatch = useDispatch();
  const steps = useSelected((state) => state.chain.steps);
  const operations = useSelected((state) => state.catalogue.operations);
  const place = steps.findIndex(({ id }) => id === step.id);
  const earlier = earlierImages(steps, place);
  const titleOf = ({ operation }: Step) =>
    operations.find(({ name }) => name === operation)?.title ?? operation;
  const id = `${step.id}-${input.name}`;
  const from = step.reads[input.name] ?? "";
  const isKnown = from === "" || from === ORIGINAL || earlier.some((each) => each.step.id === from);
  return (
    <div className="field field-choice">
      <div className="field-head">
        <label htmlFor={id}>{input.title}</label>
      </div>
      <select
        id={id}
        value={isKnown ? from : "gone"}
        title={input.help}
        aria-invalid={problem !== ""}
        aria-describedby={`${id}-help`}
        onChange={({ target }) =>
          dispatch({ type: "input chosen", id: step.id, input: input.name, from: target.value })
        }
      >
        {!isKnown && <option value="gone">{texts.inputs.missing}</option>}
        {!input.required && <option value="">{none}</option>}
        <option value={ORIGINAL}>{texts.inputs.original}</option>
        {earlier.map((each) => (
          <option key={each.step.id} value={each.step.id}>
            {texts.inputs.step(each.place + 1, titleOf(each.step))}
          </option>
        ))}
      </select>
      <p id={`${id}-help`} className="field-help">
        {problem && (
          <span className="bad" role="alert">
            {problem}
          </span>
        )}
      </p>
    </div>
  );
}
