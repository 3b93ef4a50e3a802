import type { ChangeEvent } from "react";
import { ACCEPT } from "../../files";
import { isActive } from "../../state/images";
import { useSelected, useWork } from "../../state/store";
import { texts } from "../../texts";
import { Icon } from "../Icon";
import { ImageRow } from "./ImageRow";
import { Samples } from "./Samples";
import "./images.css";

export function Images() {
  const { items, selected } = useSelected((state) => state.images);
  const batch = useSelected((state) => state.batch);
  const work = useWork();

  function choose(event: ChangeEvent<HTMLInputElement>) {
    void work.addFiles([...(event.target.files ?? [])]);
    // The same file may be chosen again after it was removed.
    event.target.value = "";
  }

  const isEmpty = items.length === 0;
  return (
    <section className="column images" aria-labelledby="images-heading">
      <div className="column-head">
        <h2 id="images-heading">
          {texts.images.heading}
          {!isEmpty && <span className="count">{items.length}</span>}
        </h2>
        {!isEmpty && !items.some(isActive) && (
          <button type="button" className="plain" onClick={work.clear}>
            {texts.images.clear}
          </button>
        )}
      </div>
      <div className={isEmpty ? "adding adding-first" : "adding"}>
        <input
          id="choose-images"
          className="unseen"
          type="file"
          multiple
          accept={ACCEPT}
          onChange={choose}
        />
        <label className="button" htmlFor="choose-images">
          <Icon name="plus" />
          {texts.images.choose}
        </label>
        {isEmpty && <p className="quiet">{texts.images.drop}</p>}
      </div>
      {!isEmpty && (
        <ul className="rows">
          {items.map((image) => (
            <ImageRow key={image.id} image={image} isSelected={image.id === selected} />
          ))}
        </ul>
      )}
      {!batch && <Samples />}
      {batch && <p className="kept column-foot quiet">{texts.images.kept(batch.keptUntil)}</p>}
    </section>
  );
}
