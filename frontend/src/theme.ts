/** Light or dark, as the system has it or as the visitor chose. */

export type Theme = "system" | "light" | "dark";

const THEMES: readonly Theme[] = ["system", "light", "dark"];
const KEY = "theme";

/** The theme that was chosen on an earlier visit. */
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

/** Read what this page keeps in the browser; "" where the browser keeps nothing. */
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
    // A browser that keeps nothing, as in a private window: the choice holds for this visit.
  }
}
