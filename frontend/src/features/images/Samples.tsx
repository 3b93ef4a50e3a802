import { useWork } from "../../state/store";
import { texts } from "../../texts";

// Names of the files in public/samples, and of the scan that is made from one of them.
export const SCAN = "huge-scan.jpg";
const SAMPLES = [
  { file: "astronaut.jpg", title: texts.samples.portrait },
  { file: "coins.png", title: texts.samples.coins },
  { file: "cells.jpg", title: texts.samples.cells },
];

/** Sample pictures of the site, for visitors who have no picture at hand. */
export function Samples() {
  const work = useWork();
  return (
    <div className="samples">
      <p>{texts.images.samples}</p>
      <ul>
        {SAMPLES.map(({ file, title }) => (
          <li key={file}>
            <button type="button" onClick={() => work.addSample(file)}>
              <img src={`/samples/${file}`} alt="" />
              {title}
            </button>
          </li>
        ))}
        <li>
          <button type="button" onClick={() => work.addSample(SCAN)}>
            <span className="scan" aria-hidden="true" />
            {texts.samples.scan}
          </button>
        </li>
      </ul>
      <p className="quiet">{texts.images.credits}</p>
    </div>
  );
}

/** The same samples, as lines of a menu. */
export function SampleList() {
  const work = useWork();
  return [...SAMPLES, { file: SCAN, title: texts.samples.scan }].map(({ file, title }) => (
    <button key={file} type="button" onClick={() => work.addSample(file)}>
      {title}
    </button>
  ));
}
