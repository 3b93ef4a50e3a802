// @vitest-environment jsdom

import { act, useState } from "react";
import { type Root, createRoot } from "react-dom/client";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TextOption, nodataOf } from "../src/features/reading/TextOption";

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

let root: Root;

/** The field of the value without data, with what is taken from it. */
function Field() {
  const [value, setValue] = useState<number | "nan" | "spread" | null>(-9999);
  return (
    <>
      <TextOption
        name="nodata"
        value={value === null ? "" : String(value)}
        wrong={(text) => (nodataOf(text) === null ? "Write a number." : "")}
        onChange={(text) => setValue(nodataOf(text))}
      />
      <output>{String(value)}</output>
      <button type="button" onClick={() => setValue(null)} />
    </>
  );
}

beforeEach(() => {
  root = createRoot(document.body.appendChild(document.createElement("div")));
  act(() => root.render(<Field />));
});

afterEach(() => {
  act(() => root.unmount());
  document.body.replaceChildren();
});

const input = () => document.querySelector("input") as HTMLInputElement;
const taken = () => document.querySelector("output")?.textContent;

/** Add one character after the other, as a keyboard does. */
function type(text: string): void {
  const setter = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")?.set;
  setter?.call(input(), "");
  for (const key of text) {
    act(() => {
      setter?.call(input(), input().value + key);
      input().dispatchEvent(new Event("input", { bubbles: true }));
    });
  }
}

test.each(["-3.4028235e+38", "1e3", "−9999", "0.50"])("what is typed is taken: %s", (text) => {
  type(text);
  expect(input().value).toBe(text);
  expect(taken()).toBe(String(nodataOf(text)));
});

test("the error of a text is told with its field, and ends with it", () => {
  type("7x");
  const sentence = document.getElementById(input().getAttribute("aria-describedby") ?? "");
  expect(sentence?.textContent).toBe("Write a number.");
  expect(sentence?.getAttribute("role")).toBe("status");
  act(() => document.querySelector("button")?.click());
  expect(input().value).toBe("");
  expect(sentence?.textContent).toBe("");
});
