// One event, whole.

import { $, copied, el } from "/dom.js";
import { join } from "/events.js";
import { aboutNode } from "/filters.js";
import { absolute, ago, parse } from "/times.js";
import { eventColor } from "/colors.js";
import { sessionHeaders } from "/session.js";
import { signed } from "/signatures.js";

/** Beyond this many characters the text is not colored. */
const MAXIMUM_COLORED = 200_000;

export class Detail {
  sequence = null;
  /** Is called before it closes by itself: the address then has what was open. */
  beforeClosing = () => {};

  constructor(filters) {
    this.filters = filters;
    this.element = $("detail");
  }

  get isOpen() { return this.sequence !== null; }

  /** Closes it, in the address too. */
  close(options) {
    this.beforeClosing();
    this.hide();
    this.filters.change({ event: null }, options);
  }

  hide() {
    this.sequence = null;
    this.element.hidden = true;
    document.body.classList.remove("has-detail");
  }

  /** @param created when the stream was created that has the event, as it stands in ids; null when that is not known. */
  async open({ event, sequence, raw: live }, created) {
    this.sequence = sequence;
    this.element.hidden = false;
    document.body.classList.add("has-detail");
    // Of an event that is not kept there is no more than has come.
    if (live !== undefined) return this.render(event, live, true);
    this.render(event, JSON.stringify(event.data ?? null));
    try {
      // As it was stored, digit by digit: a number here need not be one that JavaScript can hold.
      const answer = await fetch(`/api/events/${join(sequence, created)}`, { headers: sessionHeaders() });
      const raw = await answer.text();
      if (this.sequence !== sequence || !answer.ok) return;
      const whole = JSON.parse(raw);
      this.render(whole, raw, true);
    } catch {
      // What is known of it is there already.
    }
  }

  render(event, raw, isWhole = false) {
    const { filters } = this;
    const happened = parse(event.timestamp);
    const about = aboutNode(event);
    const button = (label, action, title) => el("button", { type: "button", title, onclick: action }, label);
    const copy = button("Copy JSON", async () => {
      copy.textContent = await copied(raw) ? "Copied" : "Not copied: select it below";
    });
    const time = (at) => el("time", { datetime: new Date(at).toISOString(), title: absolute(at) }, `${absolute(at)} (${ago(at)})`);
    this.element.replaceChildren(
      el("header", {},
        el("h3", { "data-color": eventColor(event) }, el("i", { class: "swatch", "aria-hidden": "true" }), event.type),
        el("button", { type: "button", class: "close", "aria-label": "Close", title: "Close (Esc)", onclick: () => this.close() }, "✕")),
      el("dl", { class: "facts" },
        el("dt", {}, "Node"), el("dd", {}, event.node || "none"),
        ...about === event.node ? [] : [el("dt", {}, "About"), el("dd", {}, about)],
        ...signature(event),
        ...event.received ? [el("dt", {}, "Received"), el("dd", {}, time(parse(event.received)))]
          : [el("dt", {}, "Stored"), el("dd", {}, time(parse(event.stored)))],
        el("dt", {}, "Happened"), el("dd", {}, Number.isNaN(happened) ? event.timestamp : time(happened)),
        ...event.received ? [el("dt", {}, "Kept"), el("dd", {}, "no: the mesh has no stream")]
          : [el("dt", {}, "Sequence"), el("dd", {}, String(event.sequence))]),
      el("div", { class: "buttons" },
        button("Only this type", () => filters.change({ types: [event.type] })),
        about && button("Only this node", () => filters.change({ node: about })),
        isWhole && copy),
      ...output(event),
      el("pre", { tabindex: "0", "aria-label": "The event as JSON" }, ...pretty(raw)));
  }
}

/** How many lines of a tool's output are shown, and how many characters of each. */
const MAXIMUM_LINES = 200;
const MAXIMUM_LINE = 2_000;

/** Of a long line the beginning and the end, which often says most. */
const abridged = (line) => line.length <= MAXIMUM_LINE ? line : `${line.slice(0, MAXIMUM_LINE / 2)} … ${line.slice(-MAXIMUM_LINE / 2)}`;

/** The last lines that a tool wrote before it crashed, or its run failed. */
function output(event) {
  const lines = event.type === "tool.crashed" || event.type === "tool.finished" ? event.data?.output : null;
  if (!Array.isArray(lines) || !lines.length || !lines.every((line) => typeof line === "string")) return [];
  return [el("h4", {}, "Its last lines"),
    el("pre", { class: "output", tabindex: "0", "aria-label": "The last lines of the tool" }, lines.slice(-MAXIMUM_LINES).map(abridged).join("\n"))];
}

function signature(event) {
  const words = signed(event);
  return words ? [el("dt", {}, "Signature"), el("dd", { class: "mark", "data-signature": event.signature }, words)] : [];
}

/** JSON with one member a line and colors, token by token: no number is read, so none changes. */
export function pretty(raw) {
  const tokens = raw.match(/"(?:\\.|[^"\\])*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  const isColored = raw.length <= MAXIMUM_COLORED;
  const parts = [];
  let plain = "", depth = 0;
  const line = () => { plain += "\n" + "  ".repeat(depth); };
  tokens.forEach((token, index) => {
    const next = tokens[index + 1];
    if (token === "{" || token === "[") {
      plain += token;
      if (next !== "}" && next !== "]") { depth += 1; line(); }
    } else if (token === "}" || token === "]") {
      if (tokens[index - 1] !== "{" && tokens[index - 1] !== "[") { depth -= 1; line(); }
      plain += token;
    } else if (token === ",") {
      plain += ",";
      line();
    } else if (token === ":") {
      plain += ": ";
    } else if (isColored) {
      const kind = token[0] !== '"' ? "value" : next === ":" ? "key" : "string";
      parts.push(plain, el("span", { class: kind }, token));
      plain = "";
    } else {
      plain += token;
    }
  });
  return [...parts, plain];
}
