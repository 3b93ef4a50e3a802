import { type KeyboardEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { Icon } from "./Icon";

interface MenuProps {
  readonly label: ReactNode;
  readonly title?: string;
  readonly className?: string;
  /** Whether the label is an icon, which needs no arrow beside it and is named by the title. */
  readonly isIcon?: boolean;
  /** The buttons of the menu; a press on one of them closes it. */
  readonly children: ReactNode;
}

/** A button that opens a panel with more buttons below it. */
export function Menu({ label, title, className = "", isIcon = false, children }: MenuProps) {
  const [isOpen, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const element = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (!isOpen) return;
    const closeOutside = (event: PointerEvent) => {
      if (!element.current?.contains(event.target as Node)) setOpen(false);
    };
    window.addEventListener("pointerdown", closeOutside);
    return () => window.removeEventListener("pointerdown", closeOutside);
  }, [isOpen]);

  function onKey(event: KeyboardEvent) {
    if (!isOpen) return;
    if (event.key === "Escape") {
      event.stopPropagation();
      setOpen(false);
      button.current?.focus();
    }
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const all = [
      ...(element.current?.querySelectorAll<HTMLElement>("button:not(:disabled)") ?? []),
    ];
    const place = all.indexOf(document.activeElement as HTMLElement);
    all[Math.max(0, Math.min(all.length - 1, place + by))]?.focus();
  }

  return (
    <div className={`menu ${className}`} ref={element} onKeyDown={onKey}>
      <button
        type="button"
        ref={button}
        className="plain"
        title={title}
        aria-label={isIcon ? title : undefined}
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      >
        {label}
        {!isIcon && <Icon name="chevron" />}
      </button>
      {isOpen && (
        <div
          className="menu-panel"
          onClick={(event) => {
            if ((event.target as Element).closest("button, label")) setOpen(false);
          }}
        >
          {children}
        </div>
      )}
    </div>
  );
}
