/** Light, dark, or as the system has it. */

export type Theme = "system" | "light" | "dark";
const STORED = "wfs-theme";

export function theme(): Theme {
  return (localStorage.getItem(STORED) as Theme | null) ?? "system";
}

export function applyTheme(chosen?: Theme): void {
  if (chosen) localStorage.setItem(STORED, chosen);
  const dark = theme() === "dark" || (theme() === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => applyTheme());
