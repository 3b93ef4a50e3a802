import type { Box } from "../../tables";
import type { Size, View } from "../../view";

/** A region of the result, from a row of its table. */
export interface Region {
  readonly box: Box;
  readonly name: string;
  /** Number of the plane of the file in which it lies, from 0; null if there is only one. */
  readonly plane: number | null;
}

interface RegionMarkProps {
  readonly region: Region;
  /** Size of the image that the table is about. */
  readonly size: Size;
  readonly view: View;
  readonly scene: Size;
}

/** Least side of the mark, and the room around the region, in pixels of the stage. */
const LEAST = 18;
const ROOM = 4;
/** Room above the mark for its name. */
const NAME = 34;

/** The outline of a region on the picture, with its number. */
export function RegionMark({ region, size, view, scene }: RegionMarkProps) {
  const { left, top, right, bottom } = region.box;
  const unit = {
    x: (view.scale * scene.width) / size.width,
    y: (view.scale * scene.height) / size.height,
  };
  const isPoint = left === right;
  // A point lies in the middle of its pixel.
  const [x, y] = isPoint ? [left + 0.5, top + 0.5] : [(left + right) / 2, (top + bottom) / 2];
  const width = Math.max(LEAST, (right - left) * unit.x + 2 * ROOM);
  const height = Math.max(LEAST, (bottom - top) * unit.y + 2 * ROOM);
  const place = {
    left: view.x + x * unit.x - width / 2,
    top: view.y + y * unit.y - height / 2,
    width,
    height,
  };
  const names = ["region", isPoint && "region-point", place.top < NAME && "region-low"];
  return (
    <div className={names.filter(Boolean).join(" ")} style={place} aria-hidden="true">
      <span>{region.name}</span>
    </div>
  );
}
