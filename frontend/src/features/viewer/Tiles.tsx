import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { readerOf } from "../../reading";
import { type TileIndex, readTileIndex } from "../../tiles";
import { type Values, openValues } from "../../values";
import { type Point, type Size, type View, within } from "../../view";
import type { TileCanvas } from "./canvas";

/** An opened picture in tiles. */
export interface OpenTiles {
  readonly size: Size;
  /** A small version of the whole picture. */
  readonly small: HTMLImageElement;
  /** Values of the image, if the file has them. */
  readonly values: Values | null;
  /** Return the values of the pixel that is shown at a point of the stage. */
  valuesAt(at: Point): readonly number[] | null;
}

interface TilesProps {
  readonly source: string;
  readonly title: string;
  readonly view: View | null;
  /** Size of the scene, into which the picture is fitted. */
  readonly scene: Size | null;
  onOpen(tiles: OpenTiles): void;
  onFail(): void;
}

/**
 * A picture in tiles; only the visible tiles are fetched and drawn.
 *
 * The stage handles the pointer and moves it like any other picture.
 */
export function Tiles({ source, title, view, scene, onOpen, onFail }: TilesProps) {
  const box = useRef<HTMLDivElement>(null);
  const [canvas, setCanvas] = useState<TileCanvas | null>(null);
  const calls = useRef({ onOpen, onFail });
  calls.current = { onOpen, onFail };

  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    let opened: TileCanvas | null = null;
    const open = async () => {
      const read = readerOf(source, signal);
      // Load the library only now: it is as large as the rest of the site and rarely needed.
      const [{ newTileCanvas }, index] = await Promise.all([
        import("./canvas"),
        readTileIndex(read),
      ]);
      const [small, values] = await Promise.all([
        smallOf(index, read),
        index.values > 0 ? openValues(read, index.values) : null,
      ]);
      if (signal.aborted || !box.current) return URL.revokeObjectURL(small.src);
      opened = newTileCanvas(box.current, source, index);
      signal.addEventListener("abort", () => URL.revokeObjectURL(small.src));
      const { context } = opened;
      setCanvas(opened);
      calls.current.onOpen({
        size: { width: index.width, height: index.height },
        small,
        values,
        valuesAt: (at) => pixelOf(context(), at),
      });
    };
    open().catch(() => {
      if (!signal.aborted) calls.current.onFail();
    });
    return () => {
      controller.abort();
      opened?.close();
      setCanvas(null);
    };
  }, [source]);

  useLayoutEffect(() => {
    if (canvas && view && scene) canvas.show(within(view, canvas.size, scene));
  }, [canvas, view, scene]);

  return <div className="tiles" ref={box} role="img" aria-label={title} />;
}

/** Load the smallest level, which is a single tile. */
async function smallOf(
  index: TileIndex,
  read: (start: number, end: number) => Promise<ArrayBuffer>,
): Promise<HTMLImageElement> {
  const content = await read(...index.place(0, 0, 0));
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([content], { type: "image/jpeg" }));
  await image.decode();
  return image;
}

/**
 * Read the values of the pixel at a point of the stage; null if the browser has no 2D context.
 *
 * @param scale pixels of the canvas per pixel of the stage
 */
function pixelOf(
  { canvas, scale }: { readonly canvas: HTMLCanvasElement; readonly scale: number },
  { x, y }: Point,
): readonly number[] | null {
  // Copy the pixel to a second canvas: reading from the first would slow down its drawing.
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  if (!context) return null;
  context.drawImage(canvas, Math.floor(x * scale), Math.floor(y * scale), 1, 1, 0, 0, 1, 1);
  const [r = 0, g = 0, b = 0] = context.getImageData(0, 0, 1, 1).data;
  return r === g && g === b ? [r] : [r, g, b];
}
