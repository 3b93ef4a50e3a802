import { useEffect, useRef, useState } from "react";
import { useDispatch } from "../state/store";
import { texts } from "../texts";
import { keep, kept } from "../theme";
import { Dialog } from "./Dialog";
import { Icon } from "./Icon";

const KEY = "single keys";

/** Controls that a single key presses, by their mark in the page. */
const PRESSED: Readonly<Record<string, string>> = {
  "/": "[data-shortcut=add-filter]",
  b: "[data-shortcut=before]",
  s: "[data-shortcut=split]",
  a: "[data-shortcut=after]",
  h: "[data-shortcut=histogram]",
  d: "[data-shortcut=download]",
  o: "#choose-images",
};

/** Listens to keys, and shows which there are behind `?`. */
export function Keys() {
  const [isOpen, setOpen] = useState(false);
  // Single keys are in the way of those who speak to their computer: they can be switched off.
  const [isOn, setOn] = useState(kept(KEY) !== "off");
  const dispatch = useDispatch();
  const state = useRef({ isOn, isOpen });
  state.current = { isOn, isOpen };

  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.altKey || document.querySelector("dialog[open]")) return;
      if (event.ctrlKey || event.metaKey) return pressWithControl(event);
      if (!state.current.isOn || isTyped(event.target)) return;
      if (event.key === "?") return setOpen(true);
      const wanted = PRESSED[event.key];
      const control = wanted && document.querySelector<HTMLElement>(wanted);
      if (!control) return;
      event.preventDefault();
      control.click();
    };
    const pressWithControl = (event: KeyboardEvent) => {
      const key = event.key.toLowerCase();
      if (key === "enter") {
        event.preventDefault();
        document.querySelector<HTMLElement>("[data-shortcut=process]")?.click();
      }
      // A text that is typed has an undo of its own.
      if ((key !== "z" && key !== "y") || isTyped(event.target)) return;
      event.preventDefault();
      dispatch({ type: key === "y" || event.shiftKey ? "redo" : "undo" });
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, [dispatch]);

  return (
    <>
      <button
        type="button"
        className="plain"
        aria-label={texts.keys.heading}
        title={texts.keys.heading}
        aria-keyshortcuts="?"
        onClick={() => setOpen(true)}
      >
        <Icon name="keyboard" />
      </button>
      {isOpen && (
        <Dialog title={texts.keys.heading} className="keys" onClose={() => setOpen(false)}>
          <dl>
            {texts.keys.all.map(([keys, what]) => (
              <div key={what} className="key-line">
                <dt>
                  {keys.map((each) => (
                    <kbd key={each}>{each}</kbd>
                  ))}
                </dt>
                <dd>{what}</dd>
              </div>
            ))}
          </dl>
          <label>
            <input
              type="checkbox"
              role="switch"
              className="switch"
              data-first
              checked={isOn}
              onChange={({ target }) => {
                setOn(target.checked);
                keep(KEY, target.checked ? "on" : "off");
              }}
            />
            {texts.keys.single}
          </label>
        </Dialog>
      )}
    </>
  );
}

/** Whether keys go into a text there, or choose among options. */
function isTyped(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) {
    return !["checkbox", "radio", "range", "button", "file"].includes(target.type);
  }
  return target.isContentEditable || ["TEXTAREA", "SELECT"].includes(target.tagName);
}
