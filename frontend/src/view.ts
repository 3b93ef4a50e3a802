/** Zoom and position of a picture on the stage, shared by before and after. Pure functions. */

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** `scale` in stage pixels per picture pixel; (x, y) of the picture's top left corner. */
export interface View {
  readonly scale: number;
  readonly x: number;
  readonly y: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Largest scale; at this size of a pixel visitors can count pixels. */
export const SCALE_MAX = 40;
/** From this scale on, pixels are drawn as squares. */
export const CRISP_SCALE = 3;
/** A picture that was scaled down has the same shape but for the rounding of its sides. */
const SAME_SHAPE = 0.01;
/** Zoom factor of one press of + or −. */
export const ZOOM = 1.25;

/** Return the view with the whole picture in the middle of the stage, at most twice its size. */
export function fitted(picture: Size, stage: Size): View {
  const scale = Math.min(stage.width / picture.width, stage.height / picture.height, 2);
  return centred(picture, stage, scale);
}

function centred(picture: Size, stage: Size, scale: number): View {
  return {
    scale,
    x: (stage.width - picture.width * scale) / 2,
    y: (stage.height - picture.height * scale) / 2,
  };
}

/** Zoom by a factor; the pixel at the point `at` of the stage stays there. */
export function zoomed(view: View, by: number, at: Point, picture: Size, stage: Size): View {
  const least = Math.min(fitted(picture, stage).scale, 1);
  const scale = Math.min(SCALE_MAX, Math.max(least, view.scale * by));
  const ratio = scale / view.scale;
  const moved = { scale, x: at.x - (at.x - view.x) * ratio, y: at.y - (at.y - view.y) * ratio };
  return held(moved, picture, stage);
}

export function panned(view: View, x: number, y: number, picture: Size, stage: Size): View {
  return held({ ...view, x: view.x + x, y: view.y + y }, picture, stage);
}

/** Keep a picture on the stage: centred where it is smaller, without gaps where it is larger. */
export function held(view: View, picture: Size, stage: Size): View {
  const along = (at: number, size: number, room: number) =>
    size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, at));
  return {
    scale: view.scale,
    x: along(view.x, picture.width * view.scale, stage.width),
    y: along(view.y, picture.height * view.scale, stage.height),
  };
}

/**
 * Return the size of the scene that holds before and after; null while there is none.
 *
 * Both have the same height in it, so that they meet at the divider whatever their shapes are.
 */
export function sceneOf(before: Size | undefined, after: Size | undefined): Size | null {
  if (!before || !after) return before ?? after ?? null;
  const width = (after.width * before.height) / after.height;
  return Math.abs(width / before.width - 1) < SAME_SHAPE
    ? before
    : { width: Math.max(width, before.width), height: before.height };
}

/** Return the view of a picture that is fitted into the middle of a scene of another size. */
export function within(view: View, picture: Size, scene: Size): View {
  const { scale, x, y } = fittedIn(picture, scene);
  return { scale: view.scale * scale, x: view.x + view.scale * x, y: view.y + view.scale * y };
}

function fittedIn(picture: Size, scene: Size): View {
  const scale = Math.min(scene.width / picture.width, scene.height / picture.height);
  return centred(picture, scene, scale);
}

/** Least size of a region on the stage that is looked at, and what it gets if it is smaller. */
const SEEN = 8;
const CLEAR = 40;

/** Return the view with a region in the middle, enlarged if it could hardly be seen. */
export function lookedAt(view: View, region: Point & Size, picture: Size, stage: Size): View {
  const side = Math.max(1, region.width, region.height);
  const isSeen = side * view.scale >= SEEN;
  const scale = isSeen ? view.scale : Math.min(SCALE_MAX, CLEAR / side);
  const x = stage.width / 2 - scale * (region.x + region.width / 2);
  const y = stage.height / 2 - scale * (region.y + region.height / 2);
  return held({ scale, x, y }, picture, stage);
}

/** Return the picture's pixel at a point of the stage; null outside the picture. */
export function pixelAt(view: View, at: Point, picture: Size): Point | null {
  const x = Math.floor((at.x - view.x) / view.scale);
  const y = Math.floor((at.y - view.y) / view.scale);
  return x >= 0 && y >= 0 && x < picture.width && y < picture.height ? { x, y } : null;
}
