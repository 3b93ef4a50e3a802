/** A common zoom and place of several pictures of any sizes, side by side. Pure functions. */

import type { Limits } from "./contrast";
import type { Values } from "./values";
import { type Point, SCALE_MAX, type Size, type View, held } from "./view";

/** The same part of all pictures: zoom 1 shows each as a whole, (x, y) is the middle, in parts. */
export interface Common {
  readonly zoom: number;
  readonly x: number;
  readonly y: number;
}

export const WHOLE: Common = { zoom: 1, x: 0.5, y: 0.5 };
/** Most pictures that are compared at once. */
export const MOST = 4;

/** What a picture must tell to be shown in the contrast of others. */
type Measured = Pick<Values, "dtype" | "limits">;

/** Return the unit of values: those of equal units can be compared as numbers. */
function unitOf({ dtype }: Measured): string {
  return dtype.startsWith("float") ? "float" : dtype;
}

/**
 * Return the limits in which a picture is shown beside others: from the lowest to the highest that
 * pictures of its unit have.
 *
 * @param all all pictures that are compared, the one itself among them
 */
export function commonLimits(one: Measured, all: readonly Measured[]): Limits {
  const alike = all.filter((each) => unitOf(each) === unitOf(one));
  const lows = alike.map(({ limits }) => limits[0]);
  const highs = alike.map(({ limits }) => limits[1]);
  return [Math.min(...lows), Math.max(...highs)];
}

/** Return whether a common contrast would show any of the pictures otherwise than its own does. */
export function areLimitsUnequal(all: readonly Measured[]): boolean {
  return all.some((each) => {
    const [low, high] = commonLimits(each, all);
    return low !== each.limits[0] || high !== each.limits[1];
  });
}

/** Return the scale at which a picture fills its pane, so that all are seen at one size. */
function fit(picture: Size, pane: Size): number {
  return Math.min(SCALE_MAX, pane.width / picture.width, pane.height / picture.height);
}

/** Return the view of a picture in its pane. */
export function viewOf({ zoom, x, y }: Common, picture: Size, pane: Size): View {
  const scale = Math.min(SCALE_MAX, fit(picture, pane) * zoom);
  const moved = {
    scale,
    x: pane.width / 2 - x * picture.width * scale,
    y: pane.height / 2 - y * picture.height * scale,
  };
  return held(moved, picture, pane);
}

/** Return the part of a picture at a point of its pane, as (x, y) from 0 to 1 if it is on it. */
export function partAt(view: View, at: Point, picture: Size): Point {
  return {
    x: (at.x - view.x) / (view.scale * picture.width),
    y: (at.y - view.y) / (view.scale * picture.height),
  };
}

/** Zoom by a factor; what lies at a point of one pane stays there. */
export function zoomedAt(
  common: Common,
  by: number,
  at: Point | null,
  picture: Size,
  pane: Size,
): Common {
  const most = SCALE_MAX / fit(picture, pane);
  const zoom = Math.min(most, Math.max(1, common.zoom * by));
  if (zoom === 1) return WHOLE;
  const point = at ?? { x: pane.width / 2, y: pane.height / 2 };
  const part = partAt(viewOf(common, picture, pane), point, picture);
  const scale = fit(picture, pane) * zoom;
  return settled(
    {
      zoom,
      x: part.x - (point.x - pane.width / 2) / (picture.width * scale),
      y: part.y - (point.y - pane.height / 2) / (picture.height * scale),
    },
    picture,
    pane,
  );
}

/** Move by pixels of one pane. */
export function pannedBy(common: Common, by: Point, picture: Size, pane: Size): Common {
  const { scale } = viewOf(common, picture, pane);
  const x = common.x - by.x / (picture.width * scale);
  const y = common.y - by.y / (picture.height * scale);
  return settled({ ...common, x, y }, picture, pane);
}

/** Return what is seen with the picture kept in its pane, so that no move leads beyond its edges. */
function settled(common: Common, picture: Size, pane: Size): Common {
  const view = viewOf(common, picture, pane);
  const middle = { x: pane.width / 2, y: pane.height / 2 };
  return { zoom: common.zoom, ...partAt(view, middle, picture) };
}
