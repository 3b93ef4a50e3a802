import { useEffect, useRef, useState } from "react";
import { Bar } from "./features/Bar";
import { Masthead } from "./features/Masthead";
import { type Tab, Tabs } from "./features/Tabs";
import { Toast } from "./features/Toast";
import { Trouble } from "./features/Trouble";
import { Waking } from "./features/Waking";
import { Workbench } from "./features/Workbench";
import { Filters } from "./features/filters/Filters";
import { Images } from "./features/images/Images";
import { loadable } from "./features/loadable";
import { Viewer } from "./features/viewer/Viewer";
import { useSelected } from "./state/store";

const DropArea = loadable(async () => (await import("./features/images/DropArea")).DropArea);

/** Widest window, in pixels, that shows one column at a time, as styles/narrow.css has it. */
const PHONE = 600;

export function App() {
  const milestone = useSelected((state) => state.milestone);
  const selected = useSelected((state) => state.images.selected);
  const [tab, setTab] = useState<Tab>("images");
  const isOnly = useSelected(({ images }) => images.items.length === 1);
  const wasSelected = useRef(selected);
  // On a phone, show the viewer when the visitor selects another picture, or has a single one. The
  // page itself selects the first of several, whose list is what the visitor wants to see then.
  useEffect(() => {
    const isPhone = window.innerWidth <= PHONE;
    if (isPhone && selected && (wasSelected.current || isOnly)) setTab("viewer");
    wasSelected.current = selected;
  }, [selected]);
  return (
    <div className="page">
      <Masthead />
      <div>
        <Trouble />
        <Waking />
      </div>
      <Workbench tab={tab} images={<Images />} viewer={<Viewer />} filters={<Filters />} />
      <Bar />
      <Tabs tab={tab} onTab={setTab} />
      <DropArea />
      <Toast />
      <p className="unseen" aria-live="polite">
        {milestone}
      </p>
    </div>
  );
}
