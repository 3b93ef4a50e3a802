import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { api } from "./api";
import { PageProvider, createStore } from "./state/store";
import { createWork } from "./work";
import { Picker, StepCard } from "./features/filters/Filters";
import { Rows } from "./features/images/Images";
import { Selected } from "./features/viewer/Viewer";
import { applyTheme, chosenTheme } from "./theme";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/layout.css";
import "./styles/narrow.css";

applyTheme(chosenTheme());
const store = createStore();
const work = createWork(store, api);
// Load the catalogue first: a restored chain needs it for its fields.
const catalogue = work.loadCatalogue();
void catalogue.then(work.restore);
work.watchDraft();
work.listenToOtherTabs();
window.addEventListener("beforeunload", (event) => {
  if (work.hasUnsent()) event.preventDefault();
});
// When the visitor changes the batch in the address, load the page again.
window.addEventListener("hashchange", () => window.location.reload());
window.addEventListener("offline", work.connectionChanged);
window.addEventListener("online", work.connectionChanged);

// Load what is not needed at once, so that it is there when it is, also without a connection.
window.addEventListener("load", () => {
  void Promise.all([Rows.load(), StepCard.load(), Selected.load(), Picker.load()]);
  void catalogue.then(work.loadTexts);
});

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no element with the id root");
createRoot(root).render(
  <StrictMode>
    <PageProvider page={{ store, work }}>
      <App />
    </PageProvider>
  </StrictMode>,
);
