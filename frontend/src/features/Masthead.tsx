import { useState } from "react";
import { texts } from "../texts";
import { applyTheme, chosenTheme, nextTheme } from "../theme";
import { About } from "./About";
import { Icon } from "./Icon";
import { Keys } from "./Keys";

const ICONS = { system: "system", light: "sun", dark: "moon" } as const;

export function Masthead() {
  const [theme, setTheme] = useState(chosenTheme);
  const next = nextTheme(theme);
  return (
    <header className="masthead">
      <img src="/favicon.svg" alt="" width="22" height="22" />
      <h1>{texts.title}</h1>
      <p>{texts.tagline}</p>
      <div className="masthead-tools">
        <a className="button plain masthead-link" href="/api/">
          {texts.apiLink}
        </a>
        <button
          type="button"
          className="plain"
          aria-label={texts.theme(theme, next)}
          title={texts.theme(theme, next)}
          onClick={() => {
            applyTheme(next);
            setTheme(next);
          }}
        >
          <Icon name={ICONS[theme]} />
        </button>
        <Keys />
        <About />
      </div>
    </header>
  );
}
