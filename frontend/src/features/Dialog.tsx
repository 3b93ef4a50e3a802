import { type ReactNode, useEffect, useRef } from "react";
import { texts } from "../texts";
import { Icon } from "./Icon";

interface DialogProps {
  readonly title: string;
  readonly className?: string;
  readonly children: ReactNode;
  onClose(): void;
}

/** A modal dialog; Escape, its cross and a click outside close it. */
export function Dialog({ title, className = "", children, onClose }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const { current } = element;
    // When the dialog closes, the browser returns the focus to the element that had it.
    current?.showModal();
    current?.querySelector<HTMLElement>("[data-first]")?.focus();
    return () => current?.close();
  }, []);
  return (
    <dialog
      ref={element}
      className={`dialog ${className}`}
      aria-label={title}
      onClose={(event) => {
        // React hands on the event of a dialog that was opened in this one.
        if (event.target === element.current) onClose();
      }}
      onClick={(event) => {
        if (event.target === element.current) onClose();
      }}
    >
      <div className="dialog-inside">
        <div className="dialog-head">
          <h2>{title}</h2>
          <button
            type="button"
            className="plain"
            aria-label={texts.close}
            title={texts.close}
            onClick={onClose}
          >
            <Icon name="cross" />
          </button>
        </div>
        {children}
      </div>
    </dialog>
  );
}
