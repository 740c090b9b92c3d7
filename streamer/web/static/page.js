/** The page: its head, and the view that its address asks for. */

import { themeButton } from "./appearance.js";
import { keepTime } from "./time.js";
import { listen, told, heard } from "./model.js";
import { masthead, setTitle } from "./masthead.js";
import { begin, here } from "./router.js";
import { watch } from "./stream.js";
import { deadLetters } from "./dead_letters.js";
import { deployment } from "./deployment.js";
import { overview } from "./overview.js";
import { run } from "./run.js";

const main = document.getElementById("main");
let leave = () => {};

/** Show the view of this address. A view is its element, and perhaps what to call when it is left. */
function show() {
  const { path, asked } = here();
  const [kind, id] = path.split("/").map(decodeURIComponent);
  const views = {
    "": () => overview(asked),
    runs: () => run(id),
    deployments: () => deployment(id),
    "dead-letters": () => deadLetters(asked.get("sink") ?? ""),
  };
  leave();
  setTitle("");
  const view = views[kind]();
  leave = view.leave ?? (() => {});
  main.replaceChildren(view.element);
}

function start() {
  // Relative to where the page was loaded: they must stay what they are when its address changes.
  for (const each of document.querySelectorAll("a[href], link[rel=icon]")) each.href = each.href;
  const update = masthead();
  listen((changed) => changed.has("standing") && update());
  document.getElementById("colophon").append(themeButton());
  begin(show);
  keepTime();
  watch({ told, heard });
}

// From an address with a password nothing may be asked; the browser remembers what it has opened the page with.
const address = new URL(document.URL);
if (address.username || address.password) {
  address.username = address.password = "";
  location.replace(address);
} else {
  start();
}
