import { useState } from "react";
import { Dialog } from "./Dialog";
import { Icon } from "./Icon";
import { loadable } from "./loadable";
import { texts } from "../texts";

const AboutText = loadable(async () => (await import("./AboutText")).AboutText);

/** A button that tells what this page does, its limits, and what becomes of the images. */
export function About() {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button
        type="button"
        className="plain"
        aria-label={texts.about}
        title={texts.about}
        onClick={() => setOpen(true)}
      >
        <Icon name="help" />
      </button>
      {isOpen && (
        <Dialog title={texts.about} className="about" onClose={() => setOpen(false)}>
          <AboutText />
        </Dialog>
      )}
    </>
  );
}
