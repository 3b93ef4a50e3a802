/** OpenSeadragon as a canvas: it fetches and draws the tiles in sight, and this page moves it. */

import OpenSeadragon from "openseadragon";
import { api } from "../../api";
import type { TileIndex } from "../../tiles";
import { CRISP_SCALE, type Size, type View } from "../../view";

export interface TileCanvas {
  readonly size: Size;
  /** Draw the picture so. */
  show(view: View): void;
  /** What is drawn, and pixels of it for one of the stage. */
  context(): { readonly canvas: HTMLCanvasElement; readonly scale: number };
  close(): void;
}

// Few enough for one connection, and for decoding beside a page that stays smooth.
const TILES_AT_ONCE = 6;
const TILES_KEPT = 300;

/** Say that the library's own style sheet is there: the page's policy would not let it in. */
function forgoStyleSheet(): void {
  const name = "data-openseadragon-mobile-css";
  if (document.querySelector(`style[${name}]`)) return;
  // Of no namespace, so that it only bears the name: the policy blocks empty style sheets as well.
  const mark = document.createElementNS(null, "style");
  mark.setAttribute(name, "");
  document.head.append(mark);
}

export function newTileCanvas(element: HTMLElement, source: string, index: TileIndex): TileCanvas {
  const { width, height } = index;
  forgoStyleSheet();
  const viewer = new OpenSeadragon.Viewer({
    element,
    // On webgl a picture may stay black without a word.
    drawer: "canvas",
    tileSources: [tileSource(source, index)] as never,
    // The stage listens, and shows controls of its own.
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
    // In widths of the picture, as the library has it.
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

/** Tell the library of the tiles, each of which is a range of one file. */
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
    // Never asked for as it is: it names the tile, and tells it from others in the cache.
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
