/** Addresses: each view has one, and shows what its address says. */

import { ROOT } from "./ask.js";
import { el } from "./dom.js";

let show = () => {};

/** Return the path of this address below the root, and what it asks. */
export function here() {
  return { path: location.pathname.slice(ROOT.pathname.length), asked: new URLSearchParams(location.search) };
}

/** Return a link to a view; it works like any other, but loads no page. */
export function link(path, ...children) {
  return el("a", { href: new URL(path, ROOT).href }, ...children);
}

export const runPath = (id) => `runs/${encodeURIComponent(id)}`;
export const deploymentPath = (id) => `deployments/${encodeURIComponent(id)}`;
export const lettersPath = (sink) => `dead-letters?sink=${encodeURIComponent(sink)}`;

/** Keep what this view was asked in its address; what is empty is left out. */
export function keepAsked(asked) {
  const url = new URL(location.href);
  url.search = new URLSearchParams(Object.entries(asked).filter(([, value]) => value));
  history.replaceState(null, "", url);
}

/** Call `shown` for this address, and for each that is gone to. */
export function begin(shown) {
  show = shown;
  addEventListener("popstate", () => show());
  document.addEventListener("click", follow);
  show();
}

function follow(event) {
  const anchor = event.target.closest?.("a[href]");
  const isPlain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
  if (!anchor || !isPlain || event.defaultPrevented || !isView(new URL(anchor.href))) return;
  event.preventDefault();
  history.pushState(null, "", anchor.href);
  show();
  document.getElementById("main").focus();
  scrollTo(0, 0);
}

function isView(url) {
  const path = url.pathname.slice(ROOT.pathname.length);
  const isOurs = url.origin === ROOT.origin && url.pathname.startsWith(ROOT.pathname) && !url.hash;
  return isOurs && (path === "" || path === "dead-letters" || /^(runs|deployments)\/[^/]+$/.test(path));
}
