/** OpenSeadragon as a canvas: it fetches and draws the visible tiles; the stage sets the view. */

import OpenSeadragon from "openseadragon";
import { api } from "../../api";
import type { TileIndex } from "../../tiles";
import { CRISP_SCALE, type Size, type View } from "../../view";

export interface TileCanvas {
  readonly size: Size;
  /** Draw the picture at a view. */
  show(view: View): void;
  /** Return the canvas, and its pixels per pixel of the stage. */
  context(): { readonly canvas: HTMLCanvasElement; readonly scale: number };
  close(): void;
}

// Few enough for one connection, and for the page to stay smooth while tiles are decoded.
const TILES_AT_ONCE = 6;
const TILES_KEPT = 300;

/** Add the mark of the library's own style sheet, which the page's policy would block. */
function forgoStyleSheet(): void {
  const name = "data-openseadragon-mobile-css";
  if (document.querySelector(`style[${name}]`)) return;
  // Without a namespace it is not a style sheet; the policy blocks even empty style sheets.
  const mark = document.createElementNS(null, "style");
  mark.setAttribute(name, "");
  document.head.append(mark);
}

export function newTileCanvas(element: HTMLElement, source: string, index: TileIndex): TileCanvas {
  const { width, height } = index;
  forgoStyleSheet();
  const viewer = new OpenSeadragon.Viewer({
    element,
    // With webgl a picture may stay black without an error.
    drawer: "canvas",
    tileSources: [tileSource(source, index)] as never,
    // The stage handles mouse and keyboard, and has its own controls.
    mouseNavEnabled: false,
    keyboardNavEnabled: false,
    showNavigationControl: false,
    tabIndex: -1,
    animationTime: 0,
    blendTime: 0,
    visibilityRatio: 0,
    minZoomImageRatio: 0,
    maxZoomPixelRatio: Infinity,
    imageLoaderLimit: TILES_AT_ONCE,
    maxImageCacheCount: TILES_KEPT,
  });
  let last: View | null = null;

  function show(view: View): void {
    last = view;
    const { clientWidth, clientHeight } = element;
    // The library's unit of length is the width of the picture.
    const unit = view.scale * width;
    const bounds = [-view.x, -view.y, clientWidth, clientHeight].map((each) => each / unit);
    viewer.drawer?.setImageSmoothingEnabled(view.scale < CRISP_SCALE);
    viewer.viewport?.fitBounds(new OpenSeadragon.Rect(...bounds), true);
  }

  const again = () => last && show(last);
  viewer.addHandler("open", again);
  viewer.addHandler("resize", again);
  return {
    size: { width, height },
    show,
    context() {
      const canvas = viewer.drawer.canvas as HTMLCanvasElement;
      return { canvas, scale: canvas.width / element.clientWidth };
    },
    close: () => viewer.destroy(),
  };
}

/** Build the library's source of the tiles, each of which is a range of one file. */
function tileSource(source: string, index: TileIndex): OpenSeadragon.TileSource {
  const { width, height, side, levels } = index;
  const made = new OpenSeadragon.TileSource({
    width,
    height,
    tileSize: side,
    tileOverlap: 0,
    minLevel: 0,
    maxLevel: levels.length - 1,
  });
  const places = new Map<string, readonly [number, number]>();
  made.getTileUrl = (level: number, x: number, y: number) => {
    // This address is never fetched; it identifies the tile in the cache.
    const name = `${source}#${level}/${x}/${y}`;
    places.set(name, index.place(level, x, y));
    return name;
  };
  made.downloadTileStart = (job) => {
    const controller = new AbortController();
    (job.userData as Download).controller = controller;
    const [start, end] = places.get(job.src) ?? [0, 0];
    api.bytes(source, start, end, controller.signal).then(
      (content) => job.finish(new Blob([content], { type: "image/jpeg" }), null, "rasterBlob"),
      () => job.fail("a tile did not come", null),
    );
  };
  made.downloadTileAbort = (job) => (job.userData as Download).controller?.abort();
  return made;
}

interface Download {
  controller?: AbortController;
}
