import { type CSSProperties, memo, useEffect, useState } from "react";
import { change } from "../../formats";
import { type ImageItem, stageOf } from "../../state/images";
import { useSelected } from "../../state/store";
import { Icon } from "../Icon";
import { PathName } from "../PathName";
import { wordsFor } from "../images/words";
import { pictureOf } from "./pictures";
import { words } from "./words";

interface TileProps {
  readonly image: ImageItem;
  readonly place: number;
  readonly count: number;
  readonly isChosen: boolean;
  readonly style: CSSProperties;
  onPress(isRange: boolean): void;
  onLook(): void;
}

/** One image of the gallery: its picture, its name and what became of it. */
export const Tile = memo(
  function Tile({ image, place, count, isChosen, style, onPress, onLook }: TileProps) {
    const line = useSelected((state) => state.line);
    const stage = stageOf(image);
    const state = wordsFor(image, line);
    // Its picture says that it is done.
    const told = stage === "succeeded" ? change(image.bytes, image.job?.result?.bytes ?? 0) : state;
    const isBad = stage === "failed" || stage === "refused";
    return (
      <li
        className={isChosen ? "tile tile-chosen" : "tile"}
        style={style}
        aria-posinset={place}
        aria-setsize={count}
        data-tile={image.name}
      >
        <button
          type="button"
          className="tile-look"
          aria-label={words.look(image.name)}
          onClick={onLook}
        >
          <TilePicture image={image} />
        </button>
        <label className="tile-choice">
          <input
            type="checkbox"
            checked={isChosen}
            aria-label={words.choose(image.name)}
            // The keyboard's own event of a checkbox does not tell whether Shift is held.
            onClick={(event) => onPress(event.shiftKey)}
            onChange={() => undefined}
          />
        </label>
        <p className="tile-name" title={image.name}>
          <PathName path={image.name} />
        </p>
        <p className={isBad ? "tile-state bad" : "tile-state"} title={state}>
          {isBad && <Icon name="warning" />}
          <span>{told}</span>
        </p>
      </li>
    );
  },
  // Functions are new at each rendering; what they do follows from the rest.
  (was, is) =>
    was.image === is.image &&
    was.isChosen === is.isChosen &&
    was.place === is.place &&
    was.count === is.count &&
    was.style.left === is.style.left &&
    was.style.width === is.style.width &&
    was.style.top === is.style.top,
);

/** A small picture of the result, or of the image itself while there is none. */
function TilePicture({ image }: { readonly image: ImageItem }) {
  const [source, setSource] = useState("");
  const { file } = image;
  const result = image.job?.result?.url ?? "";
  const view = image.job?.views.result?.url ?? "";
  useEffect(() => {
    let isWanted = true;
    void pictureOf(image).then((made) => {
      if (isWanted) setSource(made);
    });
    return () => {
      isWanted = false;
    };
    // What the picture is made of, not the progress of the image.
  }, [file, result, view]);
  if (!source) return <span className="tile-none">{ending(image.name)}</span>;
  return <img src={source} alt="" draggable={false} />;
}

function ending(name: string): string {
  return (/\.([^.]{1,4})$/.exec(name)?.[1] ?? "?").toUpperCase();
}
