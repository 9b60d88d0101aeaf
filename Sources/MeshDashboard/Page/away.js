// "Since you were away": what was trouble while the page was not seen, counted in the history.

import { $, el, request } from "/dom.js";
import { RANGES } from "/address.js";
import { encoded } from "/filters.js";
import { absolute, clock, now, parse } from "/times.js";

/** So long, in milliseconds, without the page being seen and hearing of the server, is a pause. */
const AWAY = 5 * 60_000;
const PAGE = 1_000;
/** So many pages of events are counted at most. */
const MAXIMUM_PAGES = 20;
/** So long after a failure, in milliseconds, it is tried again. */
const RETRY = 10_000;

/** What is trouble, or the end of it, in words for one and for many. */
const TROUBLES = {
  "tool.crashed": ["crash", "crashes"],
  "tool.unhealthy": ["tool unhealthy", "tools unhealthy"],
  "node.unreachable": ["node unreachable", "nodes unreachable"],
  "alert.fired": ["alert fired", "alerts fired"],
  "alert.resolved": ["alert resolved", "alerts resolved"],
};
const COLORS = { "tool.crashed": "bad", "tool.unhealthy": "warn", "node.unreachable": "bad", "alert.fired": "bad", "alert.resolved": "ok" };

export class Away {
  /** The last time that the page was seen and heard of the server, and the id of the last event then. */
  seen = { time: Date.now(), last: null };
  /** What is counted: from where on, and since when; null when there was no pause, or the strip was dismissed. */
  pause = null;
  /** Whether that was counted. */
  isCounted = false;
  /** Goes up with each count: the answers to an older one are thrown away. */
  turn = 0;

  constructor(filters, stream) {
    this.filters = filters;
    this.stream = stream;
    stream.addEventListener("heard", () => this.look());
    document.addEventListener("visibilitychange", () => { if (document.hidden) this.mark(); else this.look(); });
    stream.addEventListener("state", () => { if (this.pause && !this.isCounted && stream.state === "live") this.count(); });
    $("away-dismiss").addEventListener("click", () => this.dismiss());
    $("away-show").addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      filters.change(this.selection);
      $("events").scrollIntoView({ block: "nearest" });
    });
  }

  /** The page is seen now: was it seen a while ago? */
  look() {
    if (document.hidden) return;
    const { time, last } = this.seen;
    if (Date.now() - time > AWAY && last !== null && !this.filters.wall) {
      // A strip that is still there goes on from where it began.
      this.pause ??= { since: time, after: last };
      this.isCounted = false;
      this.count();
    }
    this.mark();
  }

  mark() { this.seen = { time: Date.now(), last: this.stream.last ?? this.seen.last }; }

  dismiss() {
    this.pause = null;
    this.turn += 1;
    $("away").hidden = true;
  }

  /** Counts by sequence, so that no event is counted twice and none is left out. */
  async count() {
    const turn = this.turn += 1;
    const { after, since } = this.pause;
    const counts = new Map(), times = [];
    let next = after, pages = 0, isReplaced = false, isCut = false;
    try {
      isCut = await this.hasDropped(after);
      while (next !== null && pages < MAXIMUM_PAGES) {
        const query = new URLSearchParams(Object.keys(TROUBLES).map((type) => ["type", type]));
        query.set("after", next);
        query.set("limit", String(PAGE));
        const page = await request(`/api/events?${encoded(query)}`);
        if (turn !== this.turn) return;
        for (const { type, stored } of page.events) {
          counts.set(type, (counts.get(type) ?? 0) + 1);
          times.push(parse(stored));
        }
        next = page.cursor;
        pages += 1;
      }
    } catch (error) {
      // Of another stream it cannot be known.
      if (turn !== this.turn) return;
      if (error.code !== "streamReplaced") {
        if (error.status === 0 || error.status >= 500) setTimeout(() => { if (turn === this.turn) this.count(); }, RETRY);
        return;
      }
      isReplaced = true;
    }
    if (turn !== this.turn) return;
    this.isCounted = true;
    if (counts.size === 0 && !isReplaced && !isCut) return this.dismiss();
    this.render({ counts, times, since, isMore: next !== null && !isReplaced, isReplaced, isCut });
  }

  /** Whether the stream has let go of what came behind an event. */
  async hasDropped(id) {
    const [{ sequence } = {}] = (await request("/api/events?after=0&limit=1")).events;
    return sequence !== undefined && sequence > Number(id.split("-")[0]) + 1;
  }

  render({ counts, times, since, isMore, isReplaced, isCut }) {
    const parts = Object.entries(TROUBLES).filter(([type]) => counts.has(type)).map(([type, [one, many]]) => {
      const count = counts.get(type);
      return el("span", { class: "away-count", "data-color": COLORS[type] }, el("i", { class: "swatch", "aria-hidden": "true" }),
        `${count.toLocaleString("en")} ${count === 1 ? one : many}`);
    });
    const words = [
      isMore && "and more",
      isReplaced && "the stream was created anew, what the former one had is not known",
      isCut && !isReplaced && "what the stream has dropped meanwhile is not counted",
    ].filter(Boolean);
    // In the time of the mesh, as all that is shown.
    const end = now(), begin = end - (Date.now() - since);
    const moment = (time) => end - begin < 43_200_000 ? clock(time, false).slice(0, 5) : absolute(time).slice(0, 16);
    $("away-what").replaceChildren(
      el("b", {}, "Since you were away"), el("span", { class: "dim" }, `${moment(begin)} to ${moment(end)}`),
      ...parts, ...words.map((text) => el("span", { class: "dim" }, text)));
    $("away-show").hidden = counts.size === 0;
    if (counts.size) {
      const [first, last] = bounds(times);
      const [range] = RANGES.find(([, seconds]) => now() - first < seconds * 1000) ?? RANGES.at(-1);
      // The last millisecond belongs to it.
      this.selection = { pattern: "", types: [...counts.keys()], node: "", where: [], text: "", range, since: first, until: last + 1 };
      $("away-show").setAttribute("href", this.filters.addressWith({ ...this.selection, event: null, log: null }));
    }
    $("away").hidden = false;
  }
}

/** The first and the last of the times, which need not be in order. */
const bounds = (times) => times.reduce(([first, last], time) => [Math.min(first, time), Math.max(last, time)], [Infinity, -Infinity]);
