import { useState } from "react";
import { COMMON, PROPERTIES } from "../../properties";
import type { WordsField } from "../../fields";
import { texts } from "../../texts";
import { type ControlProps, FieldFrame } from "./FieldControl";

/** Some of a list of words, each with a box; the less usual ones are folded away. */
export function WordsControl(props: ControlProps<WordsField>) {
  const { id, field, value, onChange } = props;
  const [isAll, setAll] = useState(false);
  const chosen = new Set(Array.isArray(value) ? value.map(String) : []);
  const usual = Object.keys(PROPERTIES);
  const rank = (word: string) => (usual.indexOf(word) + usual.length + 1) % (usual.length + 1);
  const all = field.options.toSorted((a, b) => rank(a) - rank(b));
  const shown = all.filter((word) => isAll || rank(word) < COMMON || chosen.has(word));

  function turn(word: string) {
    // In the sequence of the list, whatever was pressed first: so the columns of the table.
    onChange(all.filter((each) => (each === word ? !chosen.has(each) : chosen.has(each))));
  }

  return (
    <FieldFrame {...props}>
      <div id={id} className="words" role="group" aria-label={field.title}>
        {shown.map((word) => (
          <label key={word} title={word}>
            <input type="checkbox" checked={chosen.has(word)} onChange={() => turn(word)} />
            {PROPERTIES[word] ?? word}
          </label>
        ))}
        {shown.length < all.length && (
          <button type="button" className="plain small" onClick={() => setAll(true)}>
            {texts.filters.moreWords(all.length - shown.length)}
          </button>
        )}
      </div>
    </FieldFrame>
  );
}
