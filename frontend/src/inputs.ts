/** Second images of steps: which earlier image a step reads beside, or instead of, its own. */

import type { Operation } from "./operation";
import type { Step } from "./recipe";
import { texts } from "./texts";

/** The image that the recipe is run on. */
export const ORIGINAL = "original";
/** The name under which a step says which image it reads instead of that of the step before. */
export const IMAGE = "image";

/** An image that an operation reads beside its own. */
export interface InputField {
  readonly name: string;
  readonly title: string;
  readonly help: string;
  readonly required: boolean;
}

/** Return the second images that an operation can read. */
export function inputsOf(operation: Operation): InputField[] {
  return Object.entries(operation.inputs ?? {}).map(([name, { title, description, required }]) => ({
    name,
    title: texts.inputs.titles[`${operation.name}.${name}`] ?? texts.inputs.titles[name] ?? title,
    help: description ?? "",
    required,
  }));
}

/** Return what a new step reads: the original, where a second image is needed or is measured. */
export function firstReads(operation: Operation): Record<string, string> {
  const wanted = inputsOf(operation).filter(
    ({ name, required }) => required || (operation.gives === "table" && name === "intensity"),
  );
  return Object.fromEntries(wanted.map(({ name }) => [name, ORIGINAL]));
}

/** A step whose image another one can read, and its place in the chain, from 0. */
export interface Earlier {
  readonly step: Step;
  readonly place: number;
}

/** Return the steps before a place whose images can be read there. */
export function earlierImages(steps: readonly Step[], place: number): Earlier[] {
  return steps
    .slice(0, place)
    .map((step, at) => ({ step, place: at }))
    .filter(({ step }) => !step.isOff && !step.isTable);
}

/** Check what a step reads; return one sentence per wrong input. */
export function readProblems(
  step: Step,
  steps: readonly Step[],
  operation: Operation,
): Record<string, string> {
  const problems: Record<string, string> = {};
  const place = steps.findIndex(({ id }) => id === step.id);
  const known = new Set(earlierImages(steps, place).map(({ step: { id } }) => id));
  for (const [name, id] of Object.entries(step.reads)) {
    if (id !== "" && id !== ORIGINAL && !known.has(id)) problems[name] = texts.inputs.gone;
  }
  for (const { name, required } of inputsOf(operation)) {
    if (required && !step.reads[name]) problems[name] = texts.inputs.needed;
  }
  if (needsIntensity(step) && !step.reads.intensity) problems.intensity = texts.inputs.intensity;
  return problems;
}

/** Return whether a step measures brightness. */
function needsIntensity({ values }: Step): boolean {
  const { properties } = values;
  return Array.isArray(properties) && properties.some((each) => isOfIntensity(String(each)));
}

/** Return whether a property of regions is about the values of pixels. */
export function isOfIntensity(property: string): boolean {
  return property.startsWith("intensity_") || property.includes("weighted");
}

/**
 * Return the names by which steps are called outside this page, by their ids here.
 *
 * Only those have one that need it: whose image is named or kept, and tables that would otherwise
 * be called alike. Others must have none: the API refuses a name that nobody uses.
 */
export function namesOf(steps: readonly Step[]): Map<string, string> {
  const named = new Set(steps.flatMap(({ reads }) => Object.values(reads)));
  const alike = (step: Step) =>
    steps.filter(({ isTable, operation }) => isTable && operation === step.operation).length > 1;
  const needed = steps.filter((step) =>
    step.isTable ? step.name !== "" || alike(step) : named.has(step.id) || step.isKept,
  );
  const taken = new Set(needed.map(({ name }) => name).filter(Boolean));
  const names = new Map<string, string>();
  for (const { id, name, operation } of needed) {
    let free = name || operation;
    for (let i = 2; !name && taken.has(free); i += 1) free = `${operation}_${i}`;
    taken.add(free);
    names.set(id, free);
  }
  return names;
}
