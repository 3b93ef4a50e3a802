import { useEffect, useRef, useState } from "react";
import { useDispatch } from "../state/store";
import { texts } from "../texts";
import { keep, kept } from "../theme";
import { Dialog } from "./Dialog";
import { Icon } from "./Icon";
import { loadable } from "./loadable";

const KeyList = loadable(async () => (await import("./KeyList")).KeyList);

const KEY = "single keys";

/** Single keys, each with the selector of the control that it presses. */
const PRESSED: Readonly<Record<string, string>> = {
  "/": "[data-shortcut=add-filter]",
  b: "[data-shortcut=before]",
  s: "[data-shortcut=split]",
  a: "[data-shortcut=after]",
  h: "[data-shortcut=histogram]",
  m: "[data-shortcut=measure]",
  f: "[data-shortcut=full-screen]",
  d: "[data-shortcut=download]",
  g: "[data-shortcut=gallery]",
  o: "#choose-images",
};

/** The keyboard shortcuts, and a dialog that lists them (`?`). */
export function Keys() {
  const [isOpen, setOpen] = useState(false);
  // Speech input can trigger single keys by accident, so visitors can switch them off.
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
      // Text fields have an undo of their own.
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
          <KeyList />
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

/** Return whether an element uses keys itself: a text field or a list of options. */
function isTyped(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) {
    return !["checkbox", "radio", "range", "button", "file"].includes(target.type);
  }
  return target.isContentEditable || ["TEXTAREA", "SELECT"].includes(target.tagName);
}
