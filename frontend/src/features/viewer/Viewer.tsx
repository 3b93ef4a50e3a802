import { Suspense, lazy } from "react";
import { patient } from "../../patient";
import { useSelected } from "../../state/store";
import { texts } from "../../texts";
import { Icon } from "../Icon";
import "./viewer.css";

// Not needed before there is an image; loaded while the page is idle.
export const loadSelected = () => patient(() => import("./Selected"));
const Selected = lazy(async () => ({ default: (await loadSelected()).Selected }));

export function Viewer() {
  const image = useSelected(({ images }) =>
    images.items.find((each) => each.id === images.selected),
  );
  return (
    <section className="column viewer" aria-labelledby="viewer-heading">
      <h2 id="viewer-heading" className="unseen">
        {texts.viewer.heading}
      </h2>
      {image ? (
        <Suspense fallback={<div className="stage" />}>
          <Selected key={image.id} image={image} />
        </Suspense>
      ) : (
        <Empty />
      )}
    </section>
  );
}

/** What this site is for, and where to begin. */
function Empty() {
  return (
    <div className="stage stage-empty">
      <div>
        <Icon name="image" />
        <p className="stage-title">{texts.viewer.emptyTitle}</p>
        <label className="button main" htmlFor="choose-images">
          <Icon name="plus" />
          {texts.images.choose}
        </label>
        <p>{texts.viewer.emptyLead}</p>
        <p className="quiet">{texts.viewer.emptySafe}</p>
      </div>
    </div>
  );
}
