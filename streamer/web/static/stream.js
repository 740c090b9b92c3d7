/** The stream of what is new, resumed where it broke off. */

import { ROOT } from "./ask.js";

const AGAIN_AFTER = 2000;
const EVENTS = ["reset", "rows", "standing", "runs", "activity", "sinks", "alerts"];

/**
 * Watch for ever: `told` is given the name and the data of each event, `heard` whether there is a connection.
 *
 * A page that nobody sees has no stream: a browser has six connections to a host, for all its tabs together.
 */
export function watch({ told, heard }) {
  let last = "";
  let source = null;
  let timer = 0;

  function open() {
    close();
    const url = new URL("api/events", ROOT);
    if (last) url.searchParams.set("after", last);
    source = new EventSource(url);
    source.addEventListener("open", () => heard(true));
    source.addEventListener("error", lose);
    for (const name of EVENTS) source.addEventListener(name, take);
  }

  function close() {
    clearTimeout(timer);
    source?.close();
  }

  function take(event) {
    last = event.lastEventId || last;
    told(event.type, JSON.parse(event.data));
  }

  /** The browser tries again by itself, unless it was refused. */
  function lose() {
    heard(false);
    if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, AGAIN_AFTER);
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  if (!document.hidden) open();
}
