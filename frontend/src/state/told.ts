/** Operations with the sentences about them, which come after the rest. */

import { OPERATIONS } from "../parameters";
import type { Operation, OperationTexts } from "../operation";

/** Return operations with the sentences about them; those without any stay as they are. */
export function told(
  operations: readonly Operation[],
  texts: readonly OperationTexts[],
): readonly Operation[] {
  const byName = new Map(texts.map((each) => [each.name, each]));
  return operations.map((operation) => {
    const found = byName.get(operation.name);
    if (!found) return operation;
    const { parameters, inputs, ...sentences } = found;
    const properties = described(operation.parameters.properties, parameters.properties);
    return {
      ...operation,
      ...sentences,
      // This site's own words, where it has some.
      ...OPERATIONS[operation.name],
      parameters: { ...operation.parameters, properties },
      ...(operation.inputs && { inputs: described(operation.inputs, inputs ?? {}) }),
    };
  });
}

function described<T extends object>(
  all: Readonly<Record<string, T>>,
  texts: Readonly<Record<string, { readonly description: string }>>,
): Record<string, T> {
  return Object.fromEntries(
    Object.entries(all).map(([name, each]) => [name, { ...each, ...texts[name] }]),
  );
}
