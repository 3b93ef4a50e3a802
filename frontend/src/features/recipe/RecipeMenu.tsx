import { type ChangeEvent, useId, useState } from "react";
import { POPULAR, PRESETS } from "../../presets";
import { active } from "../../recipe";
import { asJson, fragmentOf, recipeFrom } from "../../share";
import { useDispatch, useSelected, useWork } from "../../state/store";
import { texts } from "../../texts";
import { randomHex } from "../../work/random";
import { Icon } from "../Icon";
import { Menu } from "../Menu";
import { loadable } from "../loadable";
import { offered, usePreset } from "./usePreset";

const MyRecipes = loadable(async () => (await import("./MyRecipes")).MyRecipes);
// With a picture of each preset.
const Library = loadable(async () => (await import("./Library")).Library);

const newId = () => randomHex(4);

/** The menu of the recipe: links, files, equivalent commands, and the library. */
export function RecipeMenu() {
  const chain = useSelected((state) => state.chain);
  const { steps } = chain;
  const operations = useSelected((state) => state.catalogue.operations);
  const dispatch = useDispatch();
  const work = useWork();
  const file = useId();
  const [isOpen, setOpen] = useState(false);
  const [isLibraryOpen, setLibraryOpen] = useState(false);
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
      {isLibraryOpen && <Library onClose={() => setLibraryOpen(false)} />}
      <Menu label={texts.recipe.menu}>
        <button type="button" onClick={() => setOpen(true)}>
          {texts.mine.menu}
        </button>
        <button type="button" onClick={() => setLibraryOpen(true)}>
          {texts.presets.library}
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
      </Menu>
    </>
  );
}

/** Buttons for the ready-made chains that most people want, and for the library of all. */
export function Presets() {
  const operations = useSelected((state) => state.catalogue.operations);
  const take = usePreset();
  const [isOpen, setOpen] = useState(false);
  const popular = POPULAR.flatMap((id) => PRESETS.find((each) => each.id === id) ?? []);
  return (
    <>
      {offered(popular, operations).map((preset) => (
        <button key={preset.id} type="button" className="preset" onClick={() => take(preset)}>
          <strong>{preset.name}</strong>
          <span>{preset.help}</span>
        </button>
      ))}
      <button type="button" className="plain" onClick={() => setOpen(true)}>
        {texts.presets.all}
      </button>
      {isOpen && <Library onClose={() => setOpen(false)} />}
    </>
  );
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
