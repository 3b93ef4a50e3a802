import { afterEach, expect, test, vi } from "vitest";
import { onUnread } from "../src/raster/elsewhere";
import { lane, thumbnailOf } from "../src/thumbnails";

// There is no canvas here: one that draws nothing, and no browser that decodes.
class Canvas {
  getContext = () => null;
  convertToBlob = () => Promise.resolve(new Blob(["picture"]));
}
vi.stubGlobal("OffscreenCanvas", Canvas);
vi.stubGlobal("createImageBitmap", () => Promise.reject(new Error("unknown format")));

const RASTER = {
  width: 1,
  height: 1,
  channels: 1,
  hasAlpha: false,
  dtype: "uint8",
  samples: Uint8Array.from([7]),
};
const newFile = () => new File(["a file that only the service reads"], "a");

afterEach(() => onUnread(() => Promise.resolve(null)));

test("a thumbnail that failed is made when it is asked for again, and then kept", async () => {
  const file = newFile();
  expect(await thumbnailOf(file)).toBe("");
  onUnread(() => Promise.resolve(RASTER));
  const address = await thumbnailOf(file);
  expect(address).toMatch(/^blob:/);
  expect(await thumbnailOf(file)).toBe(address);
});

test("files that wait for the service hold up no others", async () => {
  let answer = (): void => undefined;
  const waiting = new Promise<void>((resolve) => (answer = resolve));
  onUnread(() => waiting.then(() => RASTER));
  const coming = Array.from({ length: 3 }, () => thumbnailOf(newFile()));
  expect(await lane(() => Promise.resolve("another"))).toBe("another");
  answer();
  for (const address of await Promise.all(coming)) expect(address).toMatch(/^blob:/);
});
