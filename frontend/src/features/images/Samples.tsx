import { SAMPLES as ADDRESSES } from "../../samples";
import { useSelected, useWork } from "../../state/store";
import { texts } from "../../texts";

// Made on this page: the scan from one of the other samples.
export const SCAN = "huge-scan.jpg";
export const NUCLEI = "nuclei.tif";

/** Each sample with the preset that shows best what this site does with such pictures. */
const SAMPLES = [
  { file: "astronaut.jpg", ...texts.samples.portrait, preset: "crisp" },
  { file: NUCLEI, ...texts.samples.nuclei, preset: "count" },
  { file: "coins.png", ...texts.samples.coins, preset: "objects" },
  { file: "cells.jpg", ...texts.samples.cells, preset: "nuclei" },
  { file: SCAN, ...texts.samples.scan, preset: "edges" },
] as const;

/** Sample pictures of the site, each with what could be done with it, for a first try. */
export function Samples() {
  const work = useWork();
  const isEmpty = useSelected((state) => state.chain.steps.length === 0);
  return (
    <div className="samples">
      <p>{texts.images.samples}</p>
      <ul>
        {SAMPLES.map(({ file, title, use, preset }) => (
          <li key={file}>
            <button type="button" onClick={() => work.trySample(file, preset)}>
              {file === SCAN || file === NUCLEI ? (
                <span className={file === SCAN ? "scan" : "nuclei"} aria-hidden="true" />
              ) : (
                <img src={ADDRESSES[file]} alt="" />
              )}
              <span>{title}</span>
              {isEmpty && <span className="quiet">{use}</span>}
            </button>
          </li>
        ))}
      </ul>
      <p className="quiet">{texts.images.credits}</p>
    </div>
  );
}

/** The same samples, as lines of a menu. */
export function SampleList() {
  const work = useWork();
  return SAMPLES.map(({ file, title }) => (
    <button key={file} type="button" onClick={() => work.addSample(file)}>
      {title}
    </button>
  ));
}
