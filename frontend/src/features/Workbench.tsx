import { type KeyboardEvent, type PointerEvent, type ReactNode, useRef, useState } from "react";
import { texts } from "../texts";
import { keep, kept } from "../theme";
import { Icon } from "./Icon";
import type { Tab } from "./Tabs";

type Side = "images" | "filters";

interface Panel {
  readonly width: number;
  readonly isOpen: boolean;
}

interface WorkbenchProps {
  readonly tab: Tab;
  readonly images: ReactNode;
  readonly viewer: ReactNode;
  readonly filters: ReactNode;
}

// Panels in pixels: as narrow as their rows and forms allow, so that the picture gets the rest.
const NARROW = 200;
const WIDE = 560;
const USUAL = { images: 272, filters: 300 };
const STEP = 20;

function stored(side: Side): Panel {
  const [width = "", state = ""] = kept(`panel ${side}`).split(" ");
  return { width: bounded(Number(width) || USUAL[side]), isOpen: state !== "closed" };
}

function bounded(width: number): number {
  return Math.round(Math.min(WIDE, Math.max(NARROW, width)));
}

/** The viewer between two panels, which can be folded away and dragged to another width. */
export function Workbench({ tab, images, viewer, filters }: WorkbenchProps) {
  const [panels, setPanels] = useState({ images: stored("images"), filters: stored("filters") });

  function change(side: Side, panel: Partial<Panel>) {
    const next = { ...panels[side], ...panel };
    setPanels({ ...panels, [side]: next });
    keep(`panel ${side}`, `${next.width} ${next.isOpen ? "open" : "closed"}`);
  }

  const width = ({ width, isOpen }: Panel) => (isOpen ? `${width}px` : "0px");
  const edge = (side: Side) => (
    <Edge
      side={side}
      panel={panels[side]}
      onWidth={(width) => change(side, { width: bounded(width) })}
      onTurn={() => change(side, { isOpen: !panels[side].isOpen })}
    />
  );
  return (
    <main
      className="columns"
      data-tab={tab}
      data-images={panels.images.isOpen ? "open" : "closed"}
      data-filters={panels.filters.isOpen ? "open" : "closed"}
      style={{ "--images": width(panels.images), "--filters": width(panels.filters) } as never}
    >
      {images}
      {edge("images")}
      {viewer}
      {edge("filters")}
      {filters}
    </main>
  );
}

interface EdgeProps {
  readonly side: Side;
  readonly panel: Panel;
  onWidth(width: number): void;
  onTurn(): void;
}

/** The edge of a panel: dragged or moved with the arrow keys, it changes the width. */
function Edge({ side, panel, onWidth, onTurn }: EdgeProps) {
  const from = useRef<{ x: number; width: number } | null>(null);
  const outwards = side === "images" ? 1 : -1;

  function drag(event: PointerEvent) {
    if (!from.current) return;
    onWidth(from.current.width + outwards * (event.clientX - from.current.x));
  }

  function onKey(event: KeyboardEvent) {
    const by = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    onWidth(panel.width + outwards * by);
  }

  return (
    <div className="edge">
      {panel.isOpen && (
        <div
          className="edge-line"
          role="separator"
          tabIndex={0}
          aria-orientation="vertical"
          aria-label={texts.panels.width(texts.tabs[side])}
          aria-valuemin={NARROW}
          aria-valuemax={WIDE}
          aria-valuenow={panel.width}
          onPointerDown={(event) => {
            event.currentTarget.setPointerCapture(event.pointerId);
            from.current = { x: event.clientX, width: panel.width };
          }}
          onPointerMove={drag}
          onPointerUp={() => (from.current = null)}
          onDoubleClick={() => onWidth(USUAL[side])}
          onKeyDown={onKey}
        />
      )}
      <button
        type="button"
        className="plain edge-turn"
        data-side={side}
        aria-expanded={panel.isOpen}
        aria-label={texts.panels.show(texts.tabs[side])}
        title={(panel.isOpen ? texts.panels.fold : texts.panels.show)(texts.tabs[side])}
        onClick={onTurn}
      >
        <Icon name="chevron" />
      </button>
    </div>
  );
}
