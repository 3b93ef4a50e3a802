/** The theme: light, dark, or that of the system. */

export type Theme = "system" | "light" | "dark";

const THEMES: readonly Theme[] = ["system", "light", "dark"];
const KEY = "theme";

/** Return the theme that the visitor has chosen, or "system". */
export function chosenTheme(): Theme {
  return THEMES.find((each) => each === kept(KEY)) ?? "system";
}

export function nextTheme(theme: Theme): Theme {
  return THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system";
}

export function applyTheme(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  keep(KEY, theme);
}

/** Read a value that this page has stored in the browser; "" if there is none. */
export function kept(key: string): string {
  try {
    return localStorage.getItem(key) ?? "";
  } catch {
    return "";
  }
}

export function keep(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // The browser stores nothing, as in a private window: the value holds for this visit only.
  }
}
