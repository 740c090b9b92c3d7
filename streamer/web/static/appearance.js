/** Light or dark: as the system has it, unless the viewer chose. */

import { el, say } from "./dom.js";

const KEY = "streamer.theme";
const NEXT = { system: "light", light: "dark", dark: "system" };

/** Return a button that goes through the themes. */
export function themeButton() {
  const button = el("button", { type: "button", class: "quiet", click: () => choose(NEXT[chosen()]) });

  function choose(theme) {
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // a browser that keeps nothing: the choice lasts as long as the page
    }
    apply(theme);
  }

  function apply(theme) {
    document.documentElement.dataset.theme = theme;
    say(button, `Theme: ${theme}`);
  }

  apply(chosen());
  return button;
}

function chosen() {
  const shown = document.documentElement.dataset.theme;
  if (shown) return shown;
  try {
    const kept = localStorage.getItem(KEY);
    return kept in NEXT ? kept : "system";
  } catch {
    return "system";
  }
}
