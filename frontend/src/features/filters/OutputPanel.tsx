import { useEffect, useMemo, useRef, useState } from "react";
import type { Depth, Format, Metadata } from "../../answers";
import { PATTERN, resultName } from "../../names";
import { type Field, problemOf } from "../../fields";
import { FORMATS, QUALITY, hasQuality } from "../../recipe";
import type { Value } from "../../operation";
import { keepNamePattern, namePattern } from "../../saved";
import { useDispatch, useSelected } from "../../state/store";
import { texts } from "../../texts";
import type { Writing } from "../../writing";
import { Icon } from "../Icon";
import { showWhole } from "../showWhole";
import { useSelectedImage } from "../useSize";
import { FieldControl } from "./FieldControl";
import { NumberControl } from "./NumberControl";
import { formatsOf, keptFor, shownValue, writingFields, written } from "./writingFields";

const DEPTHS: readonly Depth[] = ["input", "native"];
const METADATA: readonly Metadata[] = ["keep", "strip"];
/** Where the slider begins: much smaller files, whose loss is hard to see. */
const QUALITY_START = 80;

/** How results are written: their format; folded away, their numbers and their names. */
export function OutputPanel() {
  const {
    format,
    depth,
    metadata,
    quality = null,
    write = {},
  } = useSelected((state) => state.chain);
  const writing = useSelected((state) => state.catalogue.writing);
  const dispatch = useDispatch();
  const isPlain = quality === null && Object.keys(write).length === 0;
  const isUsual = depth === "input" && metadata === "keep" && isPlain;
  const [isOpen, setOpen] = useState(!isUsual);
  const panel = useRef<HTMLDivElement>(null);
  // What a link or a batch brings is seen, too.
  useEffect(() => {
    if (!isUsual) setOpen(true);
  }, [isUsual]);

  function choose(next: Format) {
    // What the new format does not have would be refused.
    const output = { format: next, write: keptFor(writing, next, write) };
    dispatch({ type: "output chosen", output });
  }

  return (
    <div className="output column-foot" ref={panel} data-open={isOpen || undefined}>
      <div className="format">
        <label htmlFor="format">{texts.filters.format}</label>
        <select
          id="format"
          value={format}
          onChange={({ target }) => choose(target.value as Format)}
        >
          {FORMATS.map((each) => (
            <option key={each} value={each}>
              {texts.filters.formats[each]}
            </option>
          ))}
        </select>
        <button
          type="button"
          className="plain fine"
          aria-expanded={isOpen}
          aria-label={texts.filters.fineOf(texts.filters.output)}
          title={texts.filters.fineOf(texts.filters.output)}
          onClick={() => {
            setOpen(!isOpen);
            if (!isOpen) showWhole(panel);
          }}
        >
          <Icon name="chevron" />
        </button>
      </div>
      {isOpen && (
        <>
          {hasQuality(format, write) && <QualityField />}
          <WritingFields />
          <div className="format">
            <label htmlFor="depth">{texts.filters.bits}</label>
            <select
              id="depth"
              value={depth}
              aria-describedby="depth-help"
              onChange={({ target }) =>
                dispatch({ type: "output chosen", output: { depth: target.value as Depth } })
              }
            >
              {DEPTHS.map((each) => (
                <option key={each} value={each}>
                  {texts.filters.depths[each]}
                </option>
              ))}
            </select>
          </div>
          <p id="depth-help" className="field-help">
            {texts.filters.depthHelp}
          </p>
          <div className="format">
            <label htmlFor="metadata">{texts.filters.metadata}</label>
            <select
              id="metadata"
              value={metadata}
              aria-describedby="metadata-help"
              onChange={({ target }) =>
                dispatch({ type: "output chosen", output: { metadata: target.value as Metadata } })
              }
            >
              {METADATA.map((each) => (
                <option key={each} value={each}>
                  {texts.filters.metadataOf[each]}
                </option>
              ))}
            </select>
          </div>
          <NamePattern />
        </>
      )}
      <p id="metadata-help" className="field-help">
        {texts.filters.losses[metadata]}
      </p>
    </div>
  );
}

/** What the formats of the results have beside: compression, layout, most bytes. */
function WritingFields() {
  const { format, write = {} } = useSelected((state) => state.chain);
  const options = useSelected((state) => state.catalogue.writing);
  const items = useSelected((state) => state.images.items);
  const dispatch = useDispatch();
  const types = useMemo(() => new Set(items.map(({ type }) => type)), [items]);
  const change = (next: Writing) => dispatch({ type: "output chosen", output: { write: next } });
  return (
    <>
      {writingFields(options, formatsOf(format, types), write).map((field) => (
        <WritingField key={field.name} field={field} write={write} onChange={change} />
      ))}
    </>
  );
}

interface WritingFieldProps {
  readonly field: Field;
  readonly write: Writing;
  onChange(write: Writing): void;
}

/** One option of writing. A value out of range is shown with its error, not kept. */
function WritingField({ field, write, onChange }: WritingFieldProps) {
  const [refused, setRefused] = useState<Value | undefined>(undefined);
  const problem = refused === undefined ? "" : problemOf(field, refused);
  return (
    <FieldControl
      id={`write-${field.name}`}
      field={field}
      value={refused === undefined ? shownValue(field, write) : refused}
      problem={problem}
      onChange={(value) => {
        const isUsable = problemOf(field, value) === "";
        setRefused(isUsable ? undefined : value);
        if (isUsable) onChange(written(write, field, value as string | number | boolean | null));
      }}
    />
  );
}

/** The quality of results with loss. A number out of range is shown with its error, not kept. */
function QualityField() {
  const { quality = null } = useSelected((state) => state.chain);
  const dispatch = useDispatch();
  // What was typed and cannot be used, and how often such text was given up: then the field begins
  // anew with the quality in use.
  const [refused, setRefused] = useState<Value>(null);
  const [round, setRound] = useState(0);

  function change(value: Value) {
    // The box "automatic" is the only control that works while it is ticked.
    const wanted = quality === null && value !== null ? QUALITY_START : value;
    const isUsable = wanted === null || problemOf(QUALITY, wanted) === "";
    setRefused(isUsable ? null : wanted);
    if (isUsable) {
      const number = wanted === null ? null : Number(wanted);
      dispatch({ type: "output chosen", output: { quality: number } });
    }
  }

  return (
    <div
      key={round}
      onBlur={({ currentTarget, relatedTarget }) => {
        if (refused === null || currentTarget.contains(relatedTarget)) return;
        setRefused(null);
        setRound(round + 1);
      }}
    >
      <NumberControl
        id="quality"
        field={QUALITY}
        value={refused ?? quality}
        problem={refused === null ? "" : problemOf(QUALITY, refused)}
        onChange={change}
      />
    </div>
  );
}

/** The pattern of the names of results, with an example. */
function NamePattern() {
  const [pattern, setPattern] = useState(namePattern);
  const image = useSelectedImage();
  const path = image?.name ?? "IMG_0001.jpg";
  const result = image?.job?.result?.name ?? path;
  const example = resultName(pattern, { path, result, place: 1, today: new Date() });
  return (
    <div className="field">
      <label htmlFor="name-pattern">{texts.filters.pattern}</label>
      <input
        id="name-pattern"
        type="text"
        value={pattern}
        placeholder={PATTERN}
        aria-describedby="name-pattern-help"
        onChange={({ target }) => {
          setPattern(target.value);
          keepNamePattern(target.value);
        }}
      />
      <p id="name-pattern-help" className="field-help">
        {texts.filters.patternExample(example)} {texts.filters.patternHelp}
      </p>
    </div>
  );
}
