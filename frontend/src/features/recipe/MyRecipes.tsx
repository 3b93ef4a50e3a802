import { type FormEvent, useState } from "react";
import { NAME_MAX, dropRecipe, keepRecipe, keptRecipes } from "../../kept";
import { useDispatch, useSelected } from "../../state/store";
import { texts } from "../../texts";
import { randomHex } from "../../work/random";
import { Dialog } from "../Dialog";
import { Icon } from "../Icon";

const newId = () => randomHex(4);

/** A dialog with the recipes that the visitor has named: keep one, use one, remove one. */
export function MyRecipes({ onClose }: { onClose(): void }) {
  const chain = useSelected((state) => state.chain);
  const operations = useSelected((state) => state.catalogue.operations);
  const dispatch = useDispatch();
  const [recipes, setRecipes] = useState(() => keptRecipes(operations, newId));
  const [name, setName] = useState("");
  const titleOf = (operation: string) =>
    operations.find((each) => each.name === operation)?.title ?? operation;

  function keepThis(event: FormEvent) {
    event.preventDefault();
    const wanted = name.trim();
    if (!wanted || chain.steps.length === 0) return;
    keepRecipe(wanted, chain, operations);
    setRecipes(keptRecipes(operations, newId));
    setName("");
    dispatch({ type: "milestone reached", sentence: texts.mine.kept(wanted) });
  }

  return (
    <Dialog title={texts.mine.heading} className="asking" onClose={onClose}>
      <form className="mine-form" onSubmit={keepThis}>
        <label htmlFor="recipe-name">{texts.mine.name}</label>
        <input
          id="recipe-name"
          type="text"
          data-first
          maxLength={NAME_MAX}
          value={name}
          onChange={({ target }) => setName(target.value)}
        />
        <button type="submit" disabled={!name.trim() || chain.steps.length === 0}>
          {texts.mine.keep}
        </button>
      </form>
      {chain.steps.length === 0 && <p className="quiet">{texts.mine.empty}</p>}
      {recipes.length === 0 && <p className="quiet">{texts.mine.none}</p>}
      <ul className="mine">
        {recipes.map(({ name: kept, recipe }) => (
          <li key={kept}>
            <button
              type="button"
              className="preset"
              onClick={() => {
                dispatch({ type: "chain replaced", recipe });
                dispatch({ type: "milestone reached", sentence: texts.presets.taken(kept) });
                onClose();
              }}
            >
              <strong>{kept}</strong>
              <span>{recipe.steps.map(({ operation }) => titleOf(operation)).join(" → ")}</span>
            </button>
            <button
              type="button"
              className="plain"
              aria-label={texts.mine.remove(kept)}
              title={texts.mine.remove(kept)}
              onClick={() => {
                dropRecipe(kept);
                setRecipes(keptRecipes(operations, newId));
              }}
            >
              <Icon name="trash" />
            </button>
          </li>
        ))}
      </ul>
      <p className="quiet">{texts.mine.where}</p>
    </Dialog>
  );
}
