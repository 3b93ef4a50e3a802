import { type ChangeEvent, useState } from "react";
import { ACCEPT } from "../../files";
import { isActive } from "../../state/images";
import { recentBatches } from "../../recent";
import { useSelected, useWork } from "../../state/store";
import { texts } from "../../texts";
import { Dialog } from "../Dialog";
import { Icon } from "../Icon";
import { Menu } from "../Menu";
import { loadable } from "../loadable";
import { SampleList, Samples } from "./Samples";
import "./images.css";

const Gallery = loadable(async () => (await import("../gallery/Gallery")).Gallery);
// Not needed before there is an image.
export const Rows = loadable(async () => (await import("./Rows")).Rows, <div className="rows" />);
const Recent = loadable(async () => (await import("../recent/Recent")).Recent);

// All browsers support this attribute, but React's types lack it.
const FOLDER = { webkitdirectory: "" };

export function Images() {
  const { items, selected } = useSelected((state) => state.images);
  const isEmpty = items.length === 0;
  const [isRecentOpen, setRecentOpen] = useState(false);
  return (
    <section className="column images" aria-labelledby="images-heading">
      <div className="column-head">
        <h2 id="images-heading">
          {texts.images.heading}{" "}
          {!isEmpty && <span className="count">{texts.count(items.length)}</span>}
        </h2>
        <div className="column-tools">
          {items.length > 1 && <GalleryButton />}
          {!isEmpty && <ListMenu onRecent={() => setRecentOpen(true)} />}
          {isEmpty && recentBatches().length > 0 && (
            <button type="button" className="plain" onClick={() => setRecentOpen(true)}>
              {texts.images.recent}
            </button>
          )}
        </div>
      </div>
      {isRecentOpen && <Recent onClose={() => setRecentOpen(false)} />}
      <Adding isFirst={isEmpty} />
      {isEmpty ? (
        <div className="column-body">
          <Samples />
        </div>
      ) : (
        <Rows items={items} selected={selected} />
      )}
      <Kept />
    </section>
  );
}

function GalleryButton() {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button
        type="button"
        className="plain"
        aria-label={texts.images.gallery}
        title={texts.images.gallery}
        aria-haspopup="dialog"
        data-shortcut="gallery"
        onClick={() => setOpen(true)}
      >
        <Icon name="grid" />
      </button>
      {isOpen && <Gallery onClose={() => setOpen(false)} />}
    </>
  );
}

/** Buttons to add files or a folder, with a hint that files can be dropped and pasted. */
function Adding({ isFirst }: { isFirst: boolean }) {
  const work = useWork();

  function choose(event: ChangeEvent<HTMLInputElement>, isFolder: boolean) {
    void work.addFiles([...(event.target.files ?? [])], isFolder);
    // Otherwise choosing the same file again, after it was removed, would raise no event.
    event.target.value = "";
  }

  return (
    <div className={isFirst ? "adding adding-first" : "adding"}>
      <input
        id="choose-images"
        className="unseen"
        type="file"
        multiple
        accept={ACCEPT}
        aria-keyshortcuts="o"
        onChange={(event) => choose(event, false)}
      />
      <label className="button" htmlFor="choose-images">
        <Icon name="plus" />
        {texts.images.choose}
      </label>
      <input
        id="choose-folder"
        className="unseen"
        type="file"
        multiple
        {...FOLDER}
        onChange={(event) => choose(event, true)}
      />
      <label className="button" htmlFor="choose-folder">
        <Icon name="folder" />
        {texts.images.folder}
      </label>
      {isFirst && <p className="quiet">{texts.images.drop}</p>}
    </div>
  );
}

function ListMenu({ onRecent }: { onRecent(): void }) {
  const items = useSelected((state) => state.images.items);
  const work = useWork();
  const refused = items.filter((each) => each.refusal);
  return (
    <Menu label={texts.images.menu}>
      {refused.length > 0 && (
        <button type="button" onClick={() => refused.forEach(({ id }) => work.remove(id))}>
          {texts.images.removeRefused(refused.length)}
        </button>
      )}
      <button type="button" disabled={items.some(isActive)} onClick={work.clear}>
        {texts.images.clear}
      </button>
      <button type="button" onClick={onRecent}>
        {texts.images.recent}
      </button>
      <hr />
      <p className="menu-title">{texts.images.samplesHeading}</p>
      <SampleList />
    </Menu>
  );
}

/** How long results are kept and who can see them, with a button to delete them at once. */
function Kept() {
  const batch = useSelected((state) => state.batch);
  const work = useWork();
  const [isAsked, setAsked] = useState(false);
  if (!batch) return null;
  return (
    <div className="kept column-foot quiet">
      <p>{texts.images.kept(batch.keptUntil)}</p>
      <button type="button" className="plain small" onClick={() => setAsked(true)}>
        <Icon name="trash" />
        {texts.images.deleteNow}
      </button>
      {isAsked && (
        <Dialog title={texts.images.deleteTitle} className="asking" onClose={() => setAsked(false)}>
          <p>{texts.images.deleteWarning}</p>
          <div className="dialog-buttons">
            <button type="button" data-first onClick={() => setAsked(false)}>
              {texts.images.deleteNot}
            </button>
            <button
              type="button"
              className="danger"
              onClick={() => {
                setAsked(false);
                void work.deleteAll();
              }}
            >
              {texts.images.deleteYes}
            </button>
          </div>
        </Dialog>
      )}
    </div>
  );
}
