import { expect, test } from "vitest";
import type { OperationTexts } from "../src/operation";
import { fieldsOf } from "../src/fields";
import { START, reducer } from "../src/state/state";
import { CANNY, GAUSSIAN, catalogueOf } from "./parts";

const BLENDED = { ...CANNY, inputs: { mask: { title: "Mask", required: false } } };
const TEXTS: OperationTexts[] = [
  {
    name: "canny",
    help: "Find thin lines.",
    source: "skimage.feature.canny",
    inputs: { mask: { description: "Where to look." } },
    parameters: { properties: { radius: { description: "Of the blur." } } },
  },
];

test("the sentences of the catalogue come after its forms, and change nothing else", () => {
  const came = reducer(START, {
    type: "catalogue came",
    catalogue: catalogueOf({ ...BLENDED, help: "" }, GAUSSIAN),
  });
  expect(came.catalogue.isTold).toBe(false);
  const { catalogue } = reducer(came, { type: "texts came", texts: TEXTS });
  expect(catalogue.isTold).toBe(true);
  const [edges, blur] = catalogue.operations;
  expect(edges).toMatchObject({ help: "Find thin lines.", title: CANNY.title });
  expect(edges?.inputs?.mask).toEqual({
    title: "Mask",
    required: false,
    description: "Where to look.",
  });
  const radius = edges && fieldsOf(edges).find(({ name }) => name === "radius");
  expect(radius).toMatchObject({ help: "Of the blur.", maximum: 50, default: 1 });
  // An operation without sentences keeps what it has.
  expect(blur).toBe(GAUSSIAN);
});
