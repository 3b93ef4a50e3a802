import { useEffect, useId, useState } from "react";
import { fileTexts } from "../../fileTexts";

export type OptionName = "channels" | "z" | "t" | "page" | "nodata";

/** Return the value without data that a text states; null if it states none. */
export function nodataOf(text: string): number | "nan" | "spread" | null {
  const word = text.trim().toLowerCase();
  if (word === "nan" || word === "spread") return word;
  const value = Number(word.replace("−", "-"));
  return word !== "" && Number.isFinite(value) ? value : null;
}

function isSame(name: OptionName, text: string, value: string): boolean {
  if (text === value) return true;
  return name === "nodata" && value !== "" && nodataOf(text) === nodataOf(value);
}

interface TextOptionProps {
  readonly name: OptionName;
  readonly value: string;
  /** Why a text cannot be taken, or "". */
  wrong(text: string): string;
  onChange(text: string): void;
}

/** A text that is taken once it can be. */
export function TextOption({ name, value, wrong, onChange }: TextOptionProps) {
  const id = useId();
  const [text, setText] = useState(value);
  // What is typed stays if it means the same, as 1e3 for 1000.
  useEffect(() => setText((was) => (isSame(name, was.trim(), value) ? was : value)), [name, value]);
  const sentence = text.trim() === "" ? "" : wrong(text.trim());
  return (
    <>
      <label htmlFor={id}>{fileTexts.fields[name]}</label>
      <input
        id={id}
        type="text"
        value={text}
        placeholder={fileTexts.examples[name]}
        aria-invalid={sentence !== ""}
        aria-describedby={sentence ? `${id}wrong` : undefined}
        autoComplete="off"
        spellCheck={false}
        onChange={({ target }) => {
          setText(target.value);
          const found = target.value.trim();
          if (found === "" || wrong(found) === "") onChange(found);
        }}
      />
      <p id={`${id}wrong`} className="bad" role="status">
        {sentence}
      </p>
    </>
  );
}
