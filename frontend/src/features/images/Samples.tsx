import { useWork } from "../../state/store";
import { texts } from "../../texts";

// Names of the files in public/samples; the titles are proper names.
const SAMPLES = [
  { file: "astronaut.jpg", title: "Astronaut" },
  { file: "chelsea.jpg", title: "Chelsea" },
  { file: "coins.png", title: "Coins" },
];

/** Pictures that come with the site, for visitors who have none at hand. */
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
      </ul>
      <p className="quiet">{texts.images.credits}</p>
    </div>
  );
}
