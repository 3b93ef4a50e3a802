import { type ReactNode, useEffect, useRef } from "react";
import { texts } from "../texts";
import { Icon } from "./Icon";

interface DialogProps {
  readonly title: string;
  readonly className?: string;
  readonly children: ReactNode;
  onClose(): void;
}

/** A window over the page; Escape, its cross and a click beside it close it. */
export function Dialog({ title, className = "", children, onClose }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const { current } = element;
    // What had the focus gets it back when the dialog closes: browsers see to that.
    current?.showModal();
    current?.querySelector<HTMLElement>("[data-first]")?.focus();
    return () => current?.close();
  }, []);
  return (
    <dialog
      ref={element}
      className={`dialog ${className}`}
      aria-label={title}
      onClose={onClose}
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
