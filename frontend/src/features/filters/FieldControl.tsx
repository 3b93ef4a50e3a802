import { type ReactNode, useState } from "react";
import {
  type ChoiceField,
  type Field,
  type ListField,
  type SwitchField,
  toNumbers,
} from "../../fields";
import type { Value } from "../../operation";
import { texts } from "../../texts";
import { Icon } from "../Icon";
import { NumberControl } from "./NumberControl";
import { WordsControl } from "./WordsControl";

export interface ControlProps<F extends Field> {
  /** Id of the element to which the label belongs; unique on the page. */
  readonly id: string;
  readonly field: F;
  readonly value: Value;
  /** The error of the value, in one sentence, or "". */
  readonly problem: string;
  onChange(value: Value): void;
}

/** The control for one parameter, of any type. */
export function FieldControl(props: ControlProps<Field>) {
  const { field } = props;
  switch (field.kind) {
    case "number":
      return <NumberControl {...props} field={field} />;
    case "choice":
      return <ChoiceControl {...props} field={field} />;
    case "switch":
      return <SwitchControl {...props} field={field} />;
    case "list":
      return <ListControl {...props} field={field} />;
    case "words":
      return <WordsControl {...props} field={field} />;
  }
}

function ChoiceControl({ id, field, value, problem, onChange }: ControlProps<ChoiceField>) {
  return (
    <FieldFrame id={id} field={field} value={value} problem={problem} onChange={onChange}>
      <select
        id={id}
        value={String(value)}
        aria-describedby={`${id}-help`}
        onChange={(event) => onChange(event.target.value)}
      >
        {field.options.map((option) => (
          <option key={option} value={option}>
            {field.labels?.[option] ?? option}
          </option>
        ))}
      </select>
    </FieldFrame>
  );
}

function SwitchControl({ id, field, value, problem, onChange }: ControlProps<SwitchField>) {
  return (
    <FieldFrame id={id} field={field} value={value} problem={problem} onChange={onChange}>
      <input
        id={id}
        type="checkbox"
        role="switch"
        className="switch"
        checked={value === true}
        aria-describedby={`${id}-help`}
        onChange={(event) => onChange(event.target.checked)}
      />
    </FieldFrame>
  );
}

function ListControl({ id, field, value, problem, onChange }: ControlProps<ListField>) {
  // The text while it is typed: "1, " may become two numbers.
  const [typed, setTyped] = useState<string | null>(null);
  const numbers = Array.isArray(value) ? value : [];
  return (
    <FieldFrame id={id} field={field} value={value} problem={problem} onChange={onChange}>
      <span className="number-box list-box">
        <input
          id={id}
          type="text"
          inputMode="decimal"
          value={typed ?? numbers.join(", ")}
          aria-invalid={problem !== ""}
          aria-describedby={`${id}-help`}
          onChange={(event) => {
            setTyped(event.target.value);
            onChange(toNumbers(event.target.value));
          }}
          onBlur={() => setTyped(null)}
        />
        {field.unit && <span className="unit">{field.unit}</span>}
      </span>
    </FieldFrame>
  );
}

/** Return the default of a field in words. */
function standardOf(field: Field): string {
  if (field.default === null) return texts.filters.automatic;
  const word = String(field.default);
  return field.kind === "choice" ? (field.labels?.[word] ?? word) : word;
}

interface FieldFrameProps extends ControlProps<Field> {
  readonly children: ReactNode;
}

/** The frame of all controls: label, reset, help and error. */
export function FieldFrame({ id, field, value, problem, onChange, children }: FieldFrameProps) {
  const isDefault = String(value) === String(field.default);
  const [isHelpShown, setHelpShown] = useState(false);
  const standard = standardOf(field);
  return (
    <div className={`field field-${field.kind}`}>
      <div className="field-head">
        <label htmlFor={id}>{field.title}</label>
        {field.isRenamed && <code className="field-code">{field.name}</code>}
        {field.help && (
          <button
            type="button"
            className="plain help"
            aria-label={texts.filters.helpOn(field.title)}
            aria-expanded={isHelpShown}
            title={field.help}
            onClick={() => setHelpShown(!isHelpShown)}
          >
            <Icon name="help" />
          </button>
        )}
        {!isDefault && (
          <button
            type="button"
            className="plain reset"
            aria-label={texts.filters.reset(field.title)}
            title={texts.filters.resetTo(standard)}
            onClick={() => onChange(field.default)}
          >
            <Icon name="reset" />
          </button>
        )}
      </div>
      {children}
      <p id={`${id}-help`} className="field-help">
        {problem && (
          <span className="bad" role="alert">
            {problem}
          </span>
        )}
        <span hidden={!isHelpShown}>{field.help}</span>
      </p>
    </div>
  );
}
