import { useEffect, useId, useRef, useState } from "react";
import { ApiProblem } from "../../api";
import type { ImageKind } from "../../answers";
import { type Across, type Facts, KINDS, type Reading, isNumbers, readIn } from "../../fileFacts";
import { fileTexts } from "../../fileTexts";
import { factsOf, outOfRange } from "../../raster/facts";
import { useDispatch, useSelected, useWork } from "../../state/store";
import { Icon } from "../Icon";
import { showWhole } from "../showWhole";
import { useSelectedImage } from "../useSize";
import { type OptionName, TextOption, nodataOf } from "./TextOption";

import "./reading.css";

const PAUSE_MS = 400;

type Numbers = Exclude<OptionName, "nodata">;

/** What the selected file is taken for, and the options that say otherwise. */
export function ReadingPanel() {
  const image = useSelectedImage();
  const { read = {} } = readIn(useSelected((state) => state.chain));
  const isTold = Object.keys(read).length > 0;
  const [isOpen, setOpen] = useState(isTold);
  const panel = useRef<HTMLDivElement>(null);
  const { facts, sentence } = useFacts(image?.file ?? null, read);
  const wrong = facts && outOfRange(read, facts);
  const refusal = wrong
    ? fileTexts.outOfRange(fileTexts.fields[wrong.name], wrong.low, wrong.high)
    : sentence;
  if (!image && !isTold) return null;
  return (
    <div className="reading" ref={panel} data-open={isOpen || undefined}>
      <button
        type="button"
        className="reading-head"
        aria-expanded={isOpen}
        onClick={() => {
          setOpen(!isOpen);
          if (!isOpen) showWhole(panel);
        }}
      >
        <span>
          {fileTexts.heading}
          <small>
            {isTold ? fileTexts.told : facts ? fileTexts.brief(facts) : fileTexts.plain}
          </small>
        </span>
        <Icon name="chevron" />
      </button>
      {isOpen && (
        <div className="reading-body">
          {refusal && (
            <p className="bad" role="alert">
              {refusal}
            </p>
          )}
          {facts ? <FactList facts={facts} /> : <p className="quiet">{fileTexts.unknown}</p>}
          <Options read={read} facts={facts} />
        </div>
      )}
    </div>
  );
}

/** Return what a file is, as the options say that it is read, and why it cannot be read so. */
function useFacts(file: File | null, read: Reading) {
  const [found, setFound] = useState<{ file: File; facts: Facts | null } | null>(null);
  const [sentence, setSentence] = useState("");
  const work = useWork();
  const key = JSON.stringify(read);
  useEffect(() => {
    setSentence("");
    if (!file) return;
    let isCurrent = true;
    const timer = setTimeout(
      () => {
        void (async () => {
          const plain = await factsOf(file);
          if (isCurrent) setFound({ file, facts: plain });
          if (key === "{}") return;
          try {
            const told = await work.factsAsRead(file, JSON.parse(key) as Reading);
            const colours = plain?.colours ?? [];
            if (isCurrent && told) setFound({ file, facts: { ...told, colours } });
          } catch (error) {
            const isRefused = error instanceof ApiProblem && error.status === 422;
            if (isCurrent && isRefused) setSentence(error.message.replace(/^preview: /, ""));
          }
        })();
      },
      key === "{}" ? 0 : PAUSE_MS,
    );
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [file, key, work]);
  // Those of the file before are no facts of this one.
  const facts = found !== null && found.file === file ? found.facts : null;
  return { facts, sentence };
}

function FactList({ facts }: { facts: Facts }) {
  const { kind, dtype, axes, channels, alpha, names, nodata, pixel_size, colours, isCut } = facts;
  const words = fileTexts.facts;
  const isNamed = names.some((name) => name !== "");
  return (
    <dl className="reading-facts">
      <dt>{words.kind}</dt>
      <dd>{fileTexts.kinds[kind]}</dd>
      <dt>{words.dtype}</dt>
      <dd>{dtype}</dd>
      <dt>{words.planes}</dt>
      <dd>{isCut ? fileTexts.uncounted : fileTexts.planes(axes)}</dd>
      {(channels > 1 || isNamed || alpha) && (
        <>
          <dt>{words.channels}</dt>
          <dd>
            {isNamed
              ? names.map((name, place) => (
                  <span key={place} className="channel">
                    {colours[place] && <i style={{ background: colours[place] }} />}
                    {fileTexts.channel(name, place)}
                  </span>
                ))
              : `${channels}${alpha ? " + alpha" : ""}`}
          </dd>
        </>
      )}
      {pixel_size && (
        <>
          <dt>{words.pixel}</dt>
          <dd>{fileTexts.pixel(pixel_size)}</dd>
        </>
      )}
      {nodata !== null && (
        <>
          <dt>{words.nodata}</dt>
          <dd>{nodata}</dd>
        </>
      )}
    </dl>
  );
}

/** The options that this file has use for, and those that are chosen. */
function Options({ read, facts }: { read: Reading; facts: Facts | null }) {
  const dispatch = useDispatch();
  const across = useSelected((state) => state.chain.across ?? "plane");
  const id = useId();
  const change = (part: Reading) =>
    dispatch({
      type: "output chosen",
      output: readIn({ read: { ...read, ...part } }) as { read: Reading },
    });
  const has = (axis: string) => facts?.axes.some((each) => each.axis === axis) ?? false;
  const isCut = facts?.isCut === true;
  const wanted: Readonly<Record<Numbers, boolean>> = {
    channels: !facts || isCut || has("c") || facts.channels > 1,
    z: has("z") || isCut,
    t: has("t") || isCut,
    page: has("p") || isCut,
  };
  const shown = (Object.keys(wanted) as Numbers[]).filter((each) => wanted[each] || read[each]);
  return (
    <div className="reading-options">
      <label htmlFor={`${id}kind`}>{fileTexts.fields.kind}</label>
      <select
        id={`${id}kind`}
        value={read.kind ?? ""}
        onChange={({ target }) => {
          const { kind: _, ...rest } = read;
          const kind = target.value as ImageKind | "";
          const next = kind === "" ? rest : { ...rest, kind };
          dispatch({ type: "output chosen", output: { read: next } });
        }}
      >
        <option value="">{fileTexts.plain}</option>
        {KINDS.map((kind) => (
          <option key={kind} value={kind}>
            {fileTexts.kinds[kind]}
          </option>
        ))}
      </select>
      {shown.map((name) => (
        <TextOption
          key={name}
          name={name}
          value={read[name] ?? ""}
          wrong={(text) => (isNumbers(text) ? "" : fileTexts.wrongNumbers)}
          onChange={(text) => change({ [name]: text })}
        />
      ))}
      <TextOption
        name="nodata"
        value={read.nodata === undefined ? "" : String(read.nodata)}
        wrong={(text) => (nodataOf(text) === null ? fileTexts.wrongNodata : "")}
        onChange={(text) => {
          const { nodata: _, ...rest } = read;
          const nodata = nodataOf(text);
          const next = nodata === null ? rest : { ...rest, nodata };
          dispatch({ type: "output chosen", output: { read: next } });
        }}
      />
      <label htmlFor={`${id}incomplete`}>{fileTexts.fields.incomplete}</label>
      <select
        id={`${id}incomplete`}
        value={read.incomplete ? "yes" : "no"}
        onChange={({ target }) => {
          const { incomplete: _, ...rest } = read;
          const next = target.value === "yes" ? { ...rest, incomplete: true as const } : rest;
          dispatch({ type: "output chosen", output: { read: next } });
        }}
      >
        {(["no", "yes"] as const).map((each) => (
          <option key={each} value={each}>
            {fileTexts.incomplete[each]}
          </option>
        ))}
      </select>
      {((facts?.axes.length ?? 0) > 0 || isCut || across === "stack") && (
        <>
          <label htmlFor={`${id}across`}>{fileTexts.across}</label>
          <select
            id={`${id}across`}
            value={across}
            title={fileTexts.acrossHelp}
            onChange={({ target }) =>
              dispatch({ type: "output chosen", output: { across: target.value as Across } })
            }
          >
            {(["plane", "stack"] as const).map((each) => (
              <option key={each} value={each}>
                {fileTexts.acrosses[each]}
              </option>
            ))}
          </select>
        </>
      )}
      <p className="quiet">{fileTexts.help}</p>
      {Object.keys(read).length > 0 && (
        <button
          type="button"
          className="plain"
          onClick={() => dispatch({ type: "output chosen", output: { read: {} } })}
        >
          {fileTexts.reset}
        </button>
      )}
    </div>
  );
}
