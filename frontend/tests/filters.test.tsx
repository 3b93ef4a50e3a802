// @vitest-environment jsdom

import { act } from "react";
import { type Root, createRoot } from "react-dom/client";
import { afterEach, beforeEach, expect, test } from "vitest";
import { api } from "../src/api";
import { Filters, OutputPanel, StepCard } from "../src/features/filters/Filters";
import { newStep } from "../src/recipe";
import { PageProvider, createStore } from "../src/state/store";
import { createWork } from "../src/work";
import { CANNY, GAUSSIAN, catalogueOf } from "./parts";

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });
// jsdom lays nothing out and so has nothing to scroll.
Element.prototype.scrollIntoView = () => undefined;

let root: Root;
let store: ReturnType<typeof createStore>;

beforeEach(async () => {
  await Promise.all([StepCard.load(), OutputPanel.load()]);
  store = createStore();
  store.dispatch({ type: "catalogue came", catalogue: catalogueOf(GAUSSIAN, CANNY) });
  store.dispatch({ type: "step added", step: newStep(GAUSSIAN, "blur") });
  store.dispatch({ type: "step added", step: newStep(CANNY, "edges") });
  const place = document.body.appendChild(document.createElement("div"));
  root = createRoot(place);
  await act(async () =>
    root.render(
      <PageProvider page={{ store, work: createWork(store, api) }}>
        <Filters />
      </PageProvider>,
    ),
  );
});

afterEach(() => {
  act(() => root.unmount());
  document.body.replaceChildren();
});

function labelled(label: string): HTMLElement {
  const found = document.querySelector<HTMLElement>(`[aria-label="${label}"]`);
  if (!found) throw new Error(`nothing is labelled ${label}`);
  return found;
}

function inMenu(words: string): HTMLButtonElement {
  const found = [...document.querySelectorAll<HTMLButtonElement>(".menu-panel button")];
  const button = found.find(({ textContent }) => textContent === words);
  if (!button) throw new Error(`no menu that is open has ${words}`);
  return button;
}

function input(id: string): HTMLInputElement {
  const found = document.getElementById(id);
  if (!(found instanceof HTMLInputElement)) throw new Error(`no input has the id ${id}`);
  return found;
}

function type(element: HTMLInputElement, text: string) {
  // React listens to the element's own setter to tell typing from its own writes.
  const setter = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")?.set;
  act(() => {
    setter?.call(element, text);
    element.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

function valueOf(step: number, parameter: string) {
  return store.get().chain.steps[step]?.values[parameter];
}

test("slider and number are one control", () => {
  type(input("blur-sigma"), "4.5");
  expect(valueOf(0, "sigma")).toBe(4.5);
  const slider = labelled("Sigma slider") as HTMLInputElement;
  expect(slider.value).toBe("4.5");
  type(slider, "7");
  expect(input("blur-sigma").value).toBe("7");
});

test("the number takes values beyond the slider, and says when they are out of range", () => {
  type(input("blur-sigma"), "50");
  expect((labelled("Sigma slider") as HTMLInputElement).value).toBe("20");
  expect(document.querySelector("[role=alert]")).toBeNull();
  type(input("blur-sigma"), "500");
  expect(document.querySelector("[role=alert]")?.textContent).toContain("between 0.1 and 100 px");
});

test("an emptied number is asked for, not turned into zero", () => {
  type(input("blur-sigma"), "");
  expect(input("blur-sigma").value).toBe("");
  expect(document.querySelector("[role=alert]")?.textContent).toContain("Enter a number");
});

test("the quality is offered where results may have one, and only a possible one is kept", () => {
  const click = (label: string) => act(() => labelled(label).click());
  const quality = () => store.get().chain.quality;
  click("More settings of Output");
  click("Quality automatic");
  expect(quality()).toBe(80);
  type(labelled("Quality slider") as HTMLInputElement, "60");
  expect(quality()).toBe(60);
  type(input("quality"), "400");
  expect(document.querySelector("[role=alert]")?.textContent).toContain("between 1 and 100");
  expect(quality()).toBe(60);
  act(() => input("quality").dispatchEvent(new FocusEvent("focusout", { bubbles: true })));
  expect(input("quality").value).toBe("60");
  expect(document.querySelector("[role=alert]")).toBeNull();
  act(() => store.dispatch({ type: "output chosen", output: { format: "png" } }));
  expect(document.getElementById("quality")).toBeNull();
  act(() => store.dispatch({ type: "output chosen", output: { format: "webp" } }));
  click("Quality automatic");
  expect(quality()).toBeNull();
});

test("a list of numbers is typed with commas, and every number has the range", () => {
  expect(input("edges-sigmas").value).toBe("1, 3");
  type(input("edges-sigmas"), "2, 4.5,");
  expect(input("edges-sigmas").value).toBe("2, 4.5,");
  expect(valueOf(1, "sigmas")).toEqual([2, 4.5]);
  const sentence = () => document.querySelector("[role=alert]")?.textContent;
  type(input("edges-sigmas"), "2, 40");
  expect(sentence()).toContain("between 0.5 and 20 px");
  type(input("edges-sigmas"), "2, x");
  expect(sentence()).toContain("Enter a number");
  type(input("edges-sigmas"), "");
  expect(sentence()).toContain("1 to 3 numbers");
  act(() => labelled("Reset Sigmas").click());
  expect(valueOf(1, "sigmas")).toEqual([1, 3]);
});

test("reset brings the default back and then goes away", () => {
  type(input("blur-sigma"), "9");
  act(() => labelled("Reset Sigma").click());
  expect(valueOf(0, "sigma")).toBe(1);
  expect(document.querySelector('[aria-label="Reset Sigma"]')).toBeNull();
});

test("a nullable number is automatic until its box is cleared", () => {
  expect(input("edges-low_threshold").disabled).toBe(true);
  act(() => labelled("Low threshold automatic").click());
  expect(valueOf(1, "low_threshold")).toBe(0.1);
  expect(input("edges-low_threshold").disabled).toBe(false);
  act(() => labelled("Low threshold automatic").click());
  expect(valueOf(1, "low_threshold")).toBeNull();
});

test("steps are reordered by buttons, which end at the ends", () => {
  act(() => labelled("More for Blurring").click());
  expect(inMenu("Move Blurring up").disabled).toBe(true);
  act(() => labelled("More for Edge detection").click());
  act(() => inMenu("Move Edge detection up").click());
  expect(store.get().chain.steps.map(({ id }) => id)).toEqual(["edges", "blur"]);
});

test("a card folds to a line that tells its most important value", () => {
  const card = document.querySelector<HTMLElement>(".step");
  const body = card?.querySelector<HTMLElement>(".step-body");
  act(() => card?.querySelector<HTMLElement>(".fold")?.click());
  expect(body?.hidden).toBe(true);
  expect(card?.querySelector(".step-summary")?.textContent).toBe("Sigma 1 px");
  // What the API says against it must be seen.
  const refusal = { step: "blur", parameter: "sigma", sentence: "too much" };
  act(() => store.dispatch({ type: "step refused", refusal }));
  expect(body?.hidden).toBe(false);
});

test("help is shown when it is asked for", () => {
  expect(document.body.textContent).not.toContain("Blur with a Gaussian.");
  act(() => labelled("What Blurring means").click());
  expect(document.body.textContent).toContain("Blur with a Gaussian.");
});

test("1,5 is one and a half, and what could mean two numbers is refused", () => {
  type(input("blur-sigma"), "1,5");
  expect(valueOf(0, "sigma")).toBe(1.5);
  type(input("blur-sigma"), "1,500");
  expect(valueOf(0, "sigma")).toBeNaN();
  expect(document.querySelector("[role=alert]")?.textContent).toContain("Enter a number");
});

test("what the API said against a parameter stands at that parameter", () => {
  const refusal = { step: "blur", parameter: "sigma", sentence: "steps[0].sigma: too much" };
  act(() => store.dispatch({ type: "step refused", refusal }));
  expect(document.getElementById("blur-sigma-help")?.textContent).toContain("too much");
});

test("what most leave as it is shows when asked for, and when it was changed", () => {
  expect(document.getElementById("blur-mode")).toBeNull();
  act(() => labelled("More settings of Blurring").click());
  expect(document.getElementById("blur-mode")).not.toBeNull();
  act(() => labelled("More settings of Blurring").click());
  expect(document.getElementById("blur-mode")).toBeNull();
  act(() =>
    store.dispatch({ type: "step changed", id: "blur", parameter: "mode", value: "mirror" }),
  );
  expect(document.getElementById("blur-mode")).toHaveProperty("value", "mirror");
});
