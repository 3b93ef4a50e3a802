import { type KeyboardEvent, type PointerEvent, useRef } from "react";
import { addressOf } from "../../addresses";
import { isViewable } from "../../files";
import { SIDE } from "../../previewing";
import type { ImageItem } from "../../state/images";
import { texts } from "../../texts";
import type { Point } from "../../view";
import { useImageSize } from "../useSize";

interface PieceMapProps {
  readonly image: ImageItem;
  /** Middle of the piece, in parts of the image. */
  readonly piece: Point;
  onPiece(piece: Point): void;
}

const WIDTH = 120;

/** The whole image in a corner, with a frame around the piece that is shown; it is moved here. */
export function PieceMap({ image, piece, onPiece }: PieceMapProps) {
  const box = useRef<HTMLDivElement>(null);
  const size = useImageSize(image);
  if (!size || Math.max(size.width, size.height) <= SIDE) return null;
  const [width, height] = [Math.min(1, SIDE / size.width), Math.min(1, SIDE / size.height)];
  const inside = (at: number, part: number) => Math.min(1 - part / 2, Math.max(part / 2, at));
  const move = (x: number, y: number) => onPiece({ x: inside(x, width), y: inside(y, height) });
  const at = { x: inside(piece.x, width), y: inside(piece.y, height) };

  function go(event: PointerEvent) {
    event.stopPropagation();
    const found = box.current?.getBoundingClientRect();
    if (!found || event.buttons === 0) return;
    move((event.clientX - found.left) / found.width, (event.clientY - found.top) / found.height);
  }

  function onKey(event: KeyboardEvent) {
    const by = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const [right = 0, down = 0] = by;
    move(at.x + (right * width) / 4, at.y + (down * height) / 4);
  }

  const { file, type } = image;
  return (
    <div
      ref={box}
      className="piece-map"
      role="slider"
      tabIndex={0}
      aria-label={texts.viewer.pieceMap}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(100 * at.x)}
      aria-valuetext={texts.viewer.place(
        Math.round(at.x * size.width),
        Math.round(at.y * size.height),
      )}
      style={{ width: WIDTH, height: Math.min(160, (WIDTH * size.height) / size.width) }}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        go(event);
      }}
      onPointerMoveCapture={go}
      onKeyDown={onKey}
    >
      {file && isViewable(type) && <img src={addressOf(file)} alt="" draggable={false} />}
      <span
        style={{
          left: `${100 * (at.x - width / 2)}%`,
          top: `${100 * (at.y - height / 2)}%`,
          width: `${100 * width}%`,
          height: `${100 * height}%`,
        }}
      />
    </div>
  );
}
