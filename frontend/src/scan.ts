/** A huge scan for trying the app, made on this page from copies of one small picture. */

const TILES = 14;

/**
 * Make a scan from copies of a picture.
 *
 * Neighbouring copies are mirrored so that no seam is visible, and the scan becomes darker towards
 * one corner, as real scans do.
 *
 * @returns a JPEG with 14 × 14 copies
 */
export async function scanOf(small: Blob, name: string): Promise<File> {
  const tile = await createImageBitmap(small);
  const canvas = new OffscreenCanvas(TILES * tile.width, TILES * tile.height);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("the browser has no canvas of that size");
  for (let row = 0; row < TILES; row += 1) {
    for (let column = 0; column < TILES; column += 1) {
      const [x, y] = [column % 2 ? -1 : 1, row % 2 ? -1 : 1];
      const left = (column + (column % 2)) * tile.width;
      const top = (row + (row % 2)) * tile.height;
      context.setTransform(x, 0, 0, y, left, top);
      context.drawImage(tile, 0, 0);
    }
  }
  context.resetTransform();
  const shade = context.createLinearGradient(0, 0, canvas.width, canvas.height);
  shade.addColorStop(0, "rgb(255 255 255 / 25%)");
  shade.addColorStop(1, "rgb(0 0 0 / 25%)");
  context.fillStyle = shade;
  context.fillRect(0, 0, canvas.width, canvas.height);
  tile.close();
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.85 });
  return new File([blob], name, { type: blob.type });
}
