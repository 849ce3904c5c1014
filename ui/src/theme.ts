/** Light or dark: as the system has it, or as was chosen here. */

export type Theme = "system" | "light" | "dark";
const KEPT = "pypes.theme";

export function theme(): Theme {
  const kept = localStorage.getItem(KEPT);
  return kept === "light" || kept === "dark" ? kept : "system";
}

const DARK = matchMedia("(prefers-color-scheme: dark)");
DARK.addEventListener("change", () => paint());

export function paint(next: Theme = theme()): void {
  if (next === "system") localStorage.removeItem(KEPT);
  else localStorage.setItem(KEPT, next);
  document.documentElement.dataset["theme"] = next === "dark" || (next === "system" && DARK.matches) ? "dark" : "light";
}
