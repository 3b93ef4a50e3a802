import { type ChangeEvent, useId, useState } from "react";
import { PRESETS, type Preset } from "../../presets";
import { PLAIN_OUTPUT, active, fromBody } from "../../recipe";
import { asJson, fragmentOf, recipeFrom } from "../../share";
import { useDispatch, useSelected, useWork } from "../../state/store";
import { texts } from "../../texts";
import { randomHex } from "../../work/random";
import { Icon } from "../Icon";
import { Menu } from "../Menu";
import { loadable } from "../loadable";

const MyRecipes = loadable(async () => (await import("./MyRecipes")).MyRecipes);

const newId = () => randomHex(4);

/** The menu of the recipe: links, files, equivalent commands, and presets. */
export function RecipeMenu() {
  const chain = useSelected((state) => state.chain);
  const { steps } = chain;
  const operations = useSelected((state) => state.catalogue.operations);
  const dispatch = useDispatch();
  const work = useWork();
  const file = useId();
  const [isOpen, setOpen] = useState(false);
  const isEmpty = active(steps).length === 0;

  function link(): string {
    const { origin, pathname } = window.location;
    return `${origin}${pathname}${fragmentOf(chain, operations)}`;
  }

  async function open(event: ChangeEvent<HTMLInputElement>) {
    const [chosen] = event.target.files ?? [];
    event.target.value = "";
    if (!chosen) return;
    const recipe = recipeFrom(await chosen.text(), operations, newId);
    if (recipe) dispatch({ type: "chain replaced", recipe });
    else work.say(texts.recipe.unreadable(chosen.name));
  }

  async function copyAs(form: "asShell" | "asPython" | "asCurl") {
    const commands = await import("../../commands");
    await work.copy(commands[form](steps, chain, window.location.origin));
  }

  function item(label: string, onClick: () => void) {
    return (
      <button type="button" disabled={isEmpty} onClick={onClick}>
        {label}
      </button>
    );
  }

  return (
    <>
      <input
        id={file}
        className="unseen"
        type="file"
        aria-label={texts.recipe.openJson}
        accept=".json"
        tabIndex={-1}
        onChange={open}
      />
      {isOpen && <MyRecipes onClose={() => setOpen(false)} />}
      <Menu label={texts.recipe.menu}>
        <button type="button" onClick={() => setOpen(true)}>
          {texts.mine.menu}
        </button>
        <hr />
        {item(texts.recipe.copyLink, () => work.copy(link()))}
        {item(texts.recipe.copyJson, () => work.copy(asJson(steps)))}
        {item(texts.recipe.saveJson, () => work.save(asJson(steps), "recipe.json"))}
        <button type="button" onClick={() => document.getElementById(file)?.click()}>
          {texts.recipe.openJson}
        </button>
        <hr />
        {item(texts.recipe.asShell, () => copyAs("asShell"))}
        {item(texts.recipe.asPython, () => copyAs("asPython"))}
        {item(texts.recipe.asCurl, () => copyAs("asCurl"))}
        <hr />
        <p className="menu-title">{texts.presets.heading}</p>
        <Presets />
      </Menu>
    </>
  );
}

/** Buttons for the presets whose operations are all in the catalogue. */
export function Presets() {
  const operations = useSelected((state) => state.catalogue.operations);
  const dispatch = useDispatch();
  const offered = PRESETS.filter(({ steps }) =>
    steps.every((step) => operations.some(({ name }) => name === step.operation)),
  );

  function take({ name, steps }: Preset) {
    const recipe = { steps: fromBody(steps, operations, newId), ...PLAIN_OUTPUT };
    dispatch({ type: "chain replaced", recipe });
    dispatch({ type: "milestone reached", sentence: texts.presets.taken(name) });
  }

  return offered.map((preset) => (
    <button key={preset.name} type="button" className="preset" onClick={() => take(preset)}>
      <strong>{preset.name}</strong>
      <span>{preset.help}</span>
    </button>
  ));
}

/** Buttons for undo and redo. */
export function UndoButtons() {
  const edits = useSelected((state) => state.edits);
  const dispatch = useDispatch();
  return (
    <>
      <button
        type="button"
        className="plain"
        aria-label={texts.recipe.undo}
        title={texts.recipe.undo}
        disabled={edits.past.length === 0}
        onClick={() => dispatch({ type: "undo" })}
      >
        <Icon name="undo" />
      </button>
      <button
        type="button"
        className="plain"
        aria-label={texts.recipe.redo}
        title={texts.recipe.redo}
        disabled={edits.future.length === 0}
        onClick={() => dispatch({ type: "redo" })}
      >
        <Icon name="redo" />
      </button>
    </>
  );
}
