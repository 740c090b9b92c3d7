/** The head of all views: how things stand, in words and in figures. */

import { each, el, mark, say } from "./dom.js";
import { model } from "./model.js";
import { setSince } from "./time.js";

const LOST = "The connection to streamer is lost: what is shown may be old.";

const MODES = { live: "live", rest: "REST only", store: "standby" };

const SIGNS = { well: "", attention: "● ", wrong: "▲ " };

let title = "";

/** Say in the browser's tab what is shown. */
export function setTitle(name) {
  title = name ? `${name} · streamer` : "streamer";
  document.title = title;
}

/** Fill the head of the page; return what keeps it up to date. */
export function masthead() {
  const sentence = document.getElementById("sentence");
  const points = el("ul", { class: "points" });
  const lag = el("dd");
  const complete = el("time", { "data-since": "" });
  const recovered = el("dd");
  const quarantined = el("dd");
  const figures = el(
    "dl",
    { class: "figures", hidden: true },
    figure("mode", "How events come: by the websocket, by REST alone, or, to who stands by, from the store", el("dd", { class: "mode" })),
    figure("lag", "By how much the newest event came late", lag),
    figure("complete up to", "All events until then are known to be here", el("dd", {}, complete, " ago")),
    figure("recovered", "Events that the websocket did not bring, but REST did", recovered),
    figure("in quarantine", "Frames that are no valid event", quarantined),
  );
  document.getElementById("figures").replaceChildren(points, figures);

  return function update() {
    const { standing, isConnected } = model;
    if (!standing) {
      if (!isConnected) say(sentence, LOST);
      return;
    }
    const level = isConnected ? standing.level : "wrong";
    say(sentence, isConnected ? standing.sentence : LOST);
    mark(sentence, "data-level", level);
    document.title = SIGNS[level] + title;
    each(points, standing.points.slice(1), {
      key: (point) => point.text,
      make: (point) => el("li", { "data-level": point.level }, point.text),
    });
    figures.hidden = false;
    say(figures.querySelector(".mode"), MODES[standing.mode]);
    say(lag, standing.lag === null ? "–" : `${standing.lag.toFixed(1)}s`);
    setSince(complete, standing.watermark);
    mark(complete.parentElement.parentElement, "hidden", standing.watermark ? null : "");
    say(recovered, standing.recovered.toLocaleString());
    say(quarantined, standing.quarantined.toLocaleString());
  };
}

function figure(name, about, value) {
  return el("div", { title: about }, el("dt", {}, name), value);
}
