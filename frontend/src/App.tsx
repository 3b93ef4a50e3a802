import { Bar } from "./features/Bar";
import { Toast } from "./features/Toast";
import { Trouble } from "./features/Trouble";
import { Filters } from "./features/filters/Filters";
import { DropArea } from "./features/images/DropArea";
import { Images } from "./features/images/Images";
import { Viewer } from "./features/viewer/Viewer";
import { useSelected } from "./state/store";
import { texts } from "./texts";

export function App() {
  const milestone = useSelected((state) => state.milestone);
  return (
    <div className="page">
      <header className="masthead">
        <img src="/favicon.svg" alt="" width="22" height="22" />
        <h1>{texts.title}</h1>
        <p>{texts.tagline}</p>
      </header>
      <Trouble />
      <main className="columns">
        <Images />
        <Viewer />
        <Filters />
      </main>
      <Bar />
      <DropArea />
      <Toast />
      <p className="unseen" aria-live="polite">
        {milestone}
      </p>
    </div>
  );
}
