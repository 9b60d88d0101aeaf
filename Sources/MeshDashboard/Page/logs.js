// What a tool writes, live, with a search.

import { $, debounced, el, request, text } from "/dom.js";
import { encoded } from "/filters.js";
import { absolute, clock, parse } from "/times.js";

/** So many lines stay; older ones make room. */
const MAXIMUM = 2_000;
/** How often there may be new lines, in milliseconds; an error takes longer. */
const INTERVAL = 1_000, PAUSE = 5_000;

export class Logs {
  tool = null;
  /** What is shown, as the address says it; null while the dialog is closed. */
  shown = null;
  /** Where the next part begins. */
  next = null;
  /** Grows with each search, so that an answer that comes late is told from the present one. */
  turn = 0;
  timer = 0;
  /** Whether a text is being typed that is not searched for yet. */
  isTyping = false;

  constructor(filters) {
    this.filters = filters;
    this.dialog = $("logs");
    this.list = $("logs-list");
    $("tools").addEventListener("click", ({ target }) => {
      const button = target.closest(".open-log");
      if (!button || button.disabled) return;
      const { node, name } = button.closest("tr").tool;
      filters.change({ log: { node, tool: name }, logText: "", logStandardError: false });
    });
    $("logs-close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => {
      this.stop();
      filters.change({ log: null, logText: "", logStandardError: false });
    });
    const later = debounced(250, () => this.take());
    $("logs-text").addEventListener("input", () => { this.isTyping = true; later(); });
    $("logs-stderr").addEventListener("change", () => this.take());
    document.addEventListener("visibilitychange", () => { if (!document.hidden && this.tool) this.load(); });
  }

  /** Whether the page may read logs at all. */
  allow(isAllowed) {
    document.body.dataset.logs = isAllowed;
    this.show();
  }

  /** Shows the log that the address names, or none. */
  show() {
    const { log, logText, logStandardError } = this.filters;
    const isAllowed = document.body.dataset.logs === "true";
    if (!log || !isAllowed || this.filters.wall) return this.dialog.close();
    const key = JSON.stringify([log, logText, logStandardError]);
    if (this.shown === key) return;
    this.shown = key;
    this.tool = log;
    text($("logs-title"), `${log.tool} on ${log.node}`);
    if (!this.isTyping) $("logs-text").value = logText;
    $("logs-stderr").checked = logStandardError;
    if (!this.dialog.open) this.dialog.showModal();
    this.begin();
  }

  /** Searches for what the fields say. */
  take() {
    this.isTyping = false;
    if (this.tool) this.filters.change({ logText: $("logs-text").value, logStandardError: $("logs-stderr").checked });
  }

  stop() {
    this.turn += 1;
    this.isTyping = false;
    this.shown = null;
    clearTimeout(this.timer);
    this.tool = null;
    this.list.replaceChildren();
  }

  /** The last lines that match, and what comes then. */
  begin() {
    if (!this.tool) return;
    this.turn += 1;
    this.next = null;
    this.list.replaceChildren();
    text($("logs-status"), "Reading …");
    this.load();
  }

  async load() {
    clearTimeout(this.timer);
    const { turn, tool } = this;
    let pause = INTERVAL;
    try {
      const query = new URLSearchParams({ node: tool.node, tool: tool.tool, lines: 500 });
      if (this.filters.logText) query.set("text", this.filters.logText);
      if (this.filters.logStandardError) query.set("stderr", "true");
      if (this.next) query.set("after", this.next);
      const answer = await request(`/api/logs?${encoded(query)}`);
      if (turn !== this.turn) return;
      this.add(answer);
      if (answer.lines.length >= MAXIMUM) pause = 0;
    } catch (error) {
      if (turn !== this.turn) return;
      text($("logs-status"), error.message);
      // Nothing will change: the login, or the tool, is another one.
      if (error.status === 401 || error.status === 403 || error.code === "permissionDenied") return;
      pause = PAUSE;
    }
    // A tab that is hidden goes on when it is seen again.
    if (!document.hidden) this.timer = setTimeout(() => this.load(), pause);
  }

  add({ lines, missed, begun_anew, next }) {
    const { list } = this;
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    if (begun_anew) list.append(note("The log begins anew: what was in it before is gone."));
    if (missed) list.append(note(`${missed.toLocaleString("en")} lines were removed before they could be shown.`));
    list.append(...lines.slice(-MAXIMUM).map(row));
    while (list.childElementCount > MAXIMUM) list.firstElementChild.remove();
    this.next = next ?? this.next;
    text($("logs-status"), list.childElementCount ? "" : this.filters.logText || this.filters.logStandardError ? "No line matches." : "Nothing was written yet.");
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  }
}

function row({ time, stream, line }) {
  const at = parse(time);
  return el("li", { "data-stream": stream }, el("time", { datetime: time, title: absolute(at) }, clock(at)), el("span", {}, line));
}

function note(words) { return el("li", { "data-stream": "note" }, el("span", {}, words)); }
