/** Put images on the list and take them off. */

import { check, isViewable } from "../files";
import { isActive, newImage } from "../state/images";
import { texts } from "../texts";
import type { Desk } from "./desk";
import { showInAddress } from "./follow";
import { cancel } from "./orders";
import { randomHex } from "./random";

export async function addFiles(desk: Desk, files: readonly File[]): Promise<void> {
  const checked = await Promise.all(files.map((file) => check(file)));
  const added = checked.map(({ file, type, refusal }) => {
    const original = !refusal && isViewable(type) ? URL.createObjectURL(file) : "";
    return newImage(randomHex(8), file, { type, refusal, original });
  });
  if (added.length === 0) return;
  desk.dispatch({ type: "images added", items: added });
  const refused = added.filter((each) => each.refusal).length;
  const sentences = [
    refused < added.length ? texts.images.added(added.length - refused) : "",
    refused > 0 ? texts.images.refused(refused) : "",
  ];
  desk.announce(sentences.filter(Boolean).join(" "));
}

/** Add one of the pictures that come with the site. */
export async function addSample(desk: Desk, name: string): Promise<void> {
  try {
    await addFiles(desk, [await desk.api.sample(name)]);
  } catch {
    desk.say(texts.images.sampleFailed(name));
  }
}

export function remove(desk: Desk, id: string): void {
  const image = desk.item(id);
  if (!image) return;
  if (isActive(image)) void cancel(desk, id);
  if (image.original) URL.revokeObjectURL(image.original);
  desk.dispatch({ type: "images removed", ids: [id] });
}

/** Empty the list; nothing may be under way. */
export function clear(desk: Desk): void {
  for (const { original } of desk.items) if (original) URL.revokeObjectURL(original);
  desk.dispatch({ type: "list cleared" });
  showInAddress(null);
}
