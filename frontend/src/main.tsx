import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { api } from "./api";
import { PageProvider, createStore } from "./state/store";
import { createWork } from "./work";
import { applyTheme, chosenTheme } from "./theme";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/layout.css";

applyTheme(chosenTheme());
const store = createStore();
const work = createWork(store, api);
// A restored chain takes its fields from the catalogue, so that goes first.
void work.loadCatalogue().then(work.restore);
// Another batch in the address is another page.
window.addEventListener("hashchange", () => window.location.reload());
window.addEventListener("offline", work.connectionChanged);
window.addEventListener("online", work.connectionChanged);

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no element with the id root");
createRoot(root).render(
  <StrictMode>
    <PageProvider page={{ store, work }}>
      <App />
    </PageProvider>
  </StrictMode>,
);
