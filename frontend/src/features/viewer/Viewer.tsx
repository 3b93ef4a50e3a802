import { useRef, useState } from "react";
import type { Shape, Span } from "../../measuring";
import { loadable } from "../loadable";
import { useSelected } from "../../state/store";
import { texts } from "../../texts";
import type { Size, View } from "../../view";
import { Icon } from "../Icon";
import "./viewer.css";
import "./marks.css";
import "./histograms.css";

// Not needed before there is an image.
export const Selected = loadable(
  async () => (await import("./Selected")).Selected,
  <div className="stage" />,
);

/** Where a visitor looks: the view, or null for the whole picture, of a scene of this size. */
export interface Sight {
  readonly scene: Size;
  readonly view: View | null;
}

/** What is measured on the picture; the span is null until it is laid on one. */
export interface Measuring {
  readonly shape: Shape;
  readonly span: Span | null;
}

export function Viewer() {
  // Stays when another image is selected, so that the same place is measured in all of them.
  const [measuring, setMeasuring] = useState<Measuring | null>(null);
  const sight = useRef<Sight | null>(null);
  const image = useSelected(({ images }) =>
    images.items.find((each) => each.id === images.selected),
  );
  return (
    <section className="column viewer" aria-labelledby="viewer-heading">
      <h2 id="viewer-heading" className="unseen">
        {texts.viewer.heading}
      </h2>
      {image ? (
        <Selected
          key={image.id}
          image={image}
          sight={sight}
          measuring={measuring}
          onMeasuring={setMeasuring}
        />
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
