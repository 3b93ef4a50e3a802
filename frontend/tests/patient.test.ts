import { expect, test } from "vitest";
import { patient } from "../src/patient";

test("a part of the page that cannot be loaded without a connection is loaded later", async () => {
  let tries = 0;
  const load = async () => {
    tries += 1;
    if (tries < 3) throw new TypeError("Failed to fetch dynamically imported module");
    return "there";
  };
  expect(await patient(load, 1)).toBe("there");
  expect(tries).toBe(3);
});
