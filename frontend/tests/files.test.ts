import { expect, test } from "vitest";
import { check } from "../src/files";

function file(name: string, ...start: number[]): File {
  return new File([new Uint8Array(start), "and so on"], name);
}

test.each([
  ["image/jpeg", file("a", 0xff, 0xd8, 0xff, 0xe0)],
  ["image/png", file("a", 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)],
  ["image/webp", file("a", 0x52, 0x49, 0x46, 0x46, 1, 2, 0, 0, 0x57, 0x45, 0x42, 0x50)],
  ["image/tiff", file("a", 0x49, 0x49, 0x2a, 0x00)],
  ["image/tiff", file("a", 0x4d, 0x4d, 0x00, 0x2b)],
  ["image/gif", file("a", 0x47, 0x49, 0x46, 0x38, 0x39, 0x61)],
  ["image/bmp", file("a", 0x42, 0x4d, ...Array<number>(12).fill(7), 0x28, 0, 0, 0)],
  ["image/x-portable-anymap", file("a", 0x50, 0x35, 0x0a)],
  ["image/jp2", file("a", 0x00, 0x00, 0x00, 0x0c, 0x6a, 0x50, 0x20, 0x20)],
  ["image/avif", file("a", 0, 0, 0, 32, 0x66, 0x74, 0x79, 0x70, 0x61, 0x76, 0x69, 0x66)],
])("%s is known by its first bytes, whatever its name", async (type, each) => {
  expect(await check(each)).toEqual({ file: each, type, isImage: true, refusal: "" });
});

test("a document called .png is refused by its name, with the way out", async () => {
  const { refusal } = await check(file("report.png", 0x25, 0x50, 0x44, 0x46));
  expect(refusal).toBe(
    "This is a PDF document, which this app does not read: export its pages as PNG or TIFF.",
  );
});

test("a file of DICOM is known, also one that begins as a TIFF does", async () => {
  for (const start of [[], [0x49, 0x49, 0x2a, 0x00]]) {
    const bytes = [...start, ...Array<number>(128 - start.length).fill(0)];
    const each = file("scan", ...bytes, 0x44, 0x49, 0x43, 0x4d);
    expect((await check(each)).type).toBe("application/dicom");
  }
});

test("a sound that begins as a WebP does is refused", async () => {
  const wave = file("a.webp", 0x52, 0x49, 0x46, 0x46, 1, 2, 0, 0, 0x57, 0x41, 0x56, 0x45);
  expect((await check(wave)).refusal).toContain("is a sound");
});

test("an empty file is refused before its bytes are looked at", async () => {
  expect((await check(new File([], "empty.png"))).refusal).toContain("empty");
});

test("a file above the service's limit is refused, with both sizes", async () => {
  const large = new File([new Uint8Array([0xff, 0xd8, 0xff]), "x".repeat(3000)], "a.jpg");
  const { refusal, isImage } = await check(large, 2000);
  expect(refusal).toContain("3 kB; at most 2 kB");
  expect(isImage).toBe(true);
});
