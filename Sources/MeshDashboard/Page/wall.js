// The page for a screen in the corner: large, trouble first, nothing to press; it runs for weeks.

import { $, el, request, text } from "/dom.js";
import { about, isQuiet, sorted } from "/alerts.js";
import { severityColor } from "/colors.js";
import { absolute, age, ago, clock, everySecond, now, parse } from "/times.js";
import { troubles } from "/trouble.js";

/** A line is so high, as a part of the screen's shorter side: as in page.css. */
const LINE = 0.095;
const MAXIMUM_LINES = 12;
const MAXIMUM_FILES = 64;
/** What is shown may be so old, in milliseconds, before the wall says so. */
const MAXIMUM_AGE = 15_000;
/** Without an event for so long, its time is marked. */
const QUIET = 10 * 60_000;
/** Where the picture is moved to, minute by minute, so that it does not burn in; in hundredths of the shorter side. */
const SHIFTS = [[0, 0], [1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0], [-1, -1], [0, -1]];
/** After a movement of the pointer, a hint stays for so long, in milliseconds. */
const HINT = 4_000;

export class Wall {
  /** The lines as elements, used again and again. */
  lines = [];
  /** The last event: `time`, and what it was. */
  last = null;
  /** Since when there is no connection, or the mesh is away; null while all is well. */
  lostSince = null;
  /** The mesh cannot be reached: why. */
  problem = null;
  /** Keeps the screen on; null when nothing does. */
  lock = null;
  /** The versions of the page's files that are shown. */
  tags = null;
  hint = 0;

  constructor({ filters, stream, nodes, alerts }) {
    Object.assign(this, { filters, stream, nodes, alerts });
    this.element = $("wall");
    everySecond(() => { if (this.isOn) this.render(); });
    stream.addEventListener("state", () => {
      if (!this.isOn) return;
      this.render();
      if (stream.state === "live") this.renew();
    });
    stream.addEventListener("link", ({ detail: { problem } }) => { this.problem = problem; });
    stream.addEventListener("position", () => { if (this.isOn) this.lookUpLast(); });
    // One who leaves full screen by the browser's key wants the page back.
    document.addEventListener("fullscreenchange", () => { if (this.isOn && !document.fullscreenElement) this.leave(); });
    document.addEventListener("visibilitychange", () => { if (this.isOn) this.stayAwake(); });
    addEventListener("keydown", (event) => {
      if (!this.isOn || document.querySelector("dialog[open]")) return;
      // No other key does anything here.
      event.stopImmediatePropagation();
      if (event.key === "Escape") this.leave();
      else if (event.key === "f") this.fillScreen();
    });
    this.element.addEventListener("dblclick", () => this.leave());
    // A browser tells of a pointer that stands still, too, when what is below it changes.
    this.element.addEventListener("pointermove", ({ movementX, movementY }) => { if (movementX || movementY) this.showHint(); });
    this.element.addEventListener("pointerdown", () => this.showHint());
  }

  get isOn() { return this.filters.wall; }

  /** Upon a click: a browser gives the whole screen for nothing less. */
  enter() {
    this.filters.change({ wall: true, event: null, log: null, logText: "", logStandardError: false });
    this.fillScreen();
  }

  fillScreen() { document.documentElement.requestFullscreen?.().catch(() => {}); }

  leave() { this.filters.change({ wall: false }); }

  /** As the address says. */
  show() {
    document.body.classList.toggle("is-wall", this.isOn);
    this.element.hidden = !this.isOn;
    this.nodes.isCovered = this.isOn;
    this.stayAwake();
    if (this.isOn) this.render();
    else {
      this.last = null;
      if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
      this.nodes.draw();
    }
  }

  /** Keeps the screen on, where the browser lets a page: over HTTPS, while it is seen. */
  async stayAwake() {
    const isNeeded = this.isOn && !document.hidden, { lock } = this;
    if (!isNeeded) {
      this.lock = null;
      return lock?.release().catch(() => {});
    }
    if (lock) return;
    const given = await navigator.wakeLock?.request("screen").catch(() => null);
    if (!given) return;
    this.lock?.release().catch(() => {});
    this.lock = given;
    // The browser takes it back, too.
    given.onrelease = () => { if (this.lock === given) this.lock = null; };
    if (!this.isOn || document.hidden) this.stayAwake();
  }

  showHint() {
    document.body.classList.add("has-hint");
    clearTimeout(this.hint);
    this.hint = setTimeout(() => document.body.classList.remove("has-hint"), HINT);
  }

  /** An event that has come. */
  see({ type, node, stored, received }) {
    const time = parse(stored ?? received);
    if (this.last === null || time >= this.last.time) this.last = { time, type, node };
  }

  /** What came last before the page was opened. */
  async lookUpLast() {
    const page = await request("/api/events?limit=1").catch(() => null);
    if (page?.events.length) this.see(page.events[0]);
  }

  /** Loads the page anew when the dashboard has come back with other files: this one may not fit it. */
  async renew() {
    const tags = await fileTags().catch(() => null);
    if (!tags || !this.isOn) return;
    if (this.tags !== null && this.tags !== tags) location.reload();
    this.tags = tags;
  }

  render() {
    const all = this.trouble(), totals = this.nodes.totals();
    // What the server has not sent, because it is too much.
    const unseen = (this.alerts.report?.left_out?.firing ?? 0) + this.nodes.unseenTroubles();
    const { state, headline, more } = this.judge(all, unseen, totals);
    this.element.dataset.state = state;
    text($("wall-headline"), headline);
    text($("wall-detail"), more);
    text($("wall-clock"), clock(now(), false));
    const { nodes, online, tools, running } = totals;
    text($("wall-mesh"), nodes ? `${online} of ${nodes} nodes online · ${running} of ${tools} tools running` : "");
    this.renderLast();
    // At last: it takes the room that is left.
    this.renderLines(all, unseen);
    const [x, y] = SHIFTS[Math.floor(Date.now() / 60_000) % SHIFTS.length];
    $("wall-picture").style.transform = `translate(${x}vmin, ${y}vmin)`;
  }

  renderLast() {
    const { last } = this, box = $("wall-last");
    if (!last) return text(box, "");
    const time = now() - last.time < 86_400_000 ? clock(last.time, false) : absolute(last.time).slice(0, 16);
    text(box, `Last event ${time}, ${ago(last.time)}: ${cut(last.type)}${last.node && ` of ${cut(last.node)}`}`);
    box.dataset.state = now() - last.time > QUIET ? "old" : "new";
  }

  /** The `state`, its `headline` and what `more` there is to say: what is not known comes before what is wrong. */
  judge(all, unseen, totals) {
    const { stream, nodes, problem } = this;
    const isLive = stream.state === "live" && performance.now() - stream.heard < MAXIMUM_AGE;
    if (isLive && !problem) this.lostSince = null; else this.lostSince ??= now();
    const old = this.lostSince === null ? "" : ` What is shown is as of ${clock(this.lostSince, false)}, ${ago(this.lostSince)}.`;
    const say = (state, headline, more = "") => ({ state, headline, more });
    if (stream.state === "stopped") return say("lost", "Not logged in", old.trim());
    if (stream.state === "connecting" && now() - this.lostSince < MAXIMUM_AGE) return say("waiting", "Connecting");
    if (!isLive) return say("lost", "Not connected", (stream.problem ?? "The dashboard cannot be reached.") + old);
    if (problem) return say("lost", "Mesh unreachable", problem + old);
    if (nodes.asOf !== null) return say("lost", "Old data", `What is shown is as of ${clock(nodes.asOf, false)}.`);
    if (!nodes.isKnown) return say("waiting", "Waiting for the mesh");
    const unwatched = this.alerts.unwatched(true);
    const count = (color) => all.filter((trouble) => trouble.color === color).length;
    const bad = count("bad"), warn = count("warn") + unseen;
    if (bad) return say("bad", `${(bad + warn).toLocaleString("en")} in trouble`, unwatched);
    if (warn) return say("warn", `${warn.toLocaleString("en")} ${warn === 1 ? "warning" : "warnings"}`, unwatched);
    if (this.alerts.report?.watcher?.lost_since) return say("warn", "Alerts are not watched", unwatched);
    if (totals.nodes === 0) return say("waiting", "No node has joined");
    return say("well", "All well");
  }

  /** What is wrong, the worst first. */
  trouble() {
    const alerts = sorted(this.alerts.report?.firing ?? []).filter((alert) => !isQuiet(alert)).map((alert) => ({
      color: severityColor(alert.severity), state: alert.severity, name: alert.rule, about: about(alert), why: alert.reason, since: parse(alert.since),
    }));
    return [...alerts, ...troubles([...this.nodes.nodes.values()])].sort((one, other) => rank(one) - rank(other));
  }

  renderLines(all, unseen) {
    const list = $("wall-lines");
    const room = Math.min(MAXIMUM_LINES, Math.max(1, Math.floor(list.clientHeight / (Math.min(innerWidth, innerHeight) * LINE))));
    const total = all.length + unseen;
    // The last line counts what has no line.
    const shown = total > room ? all.slice(0, room - 1) : all;
    while (this.lines.length > shown.length) this.lines.pop().root.remove();
    while (this.lines.length < shown.length) this.lines.push(this.make(list));
    shown.forEach((trouble, index) => fill(this.lines[index], trouble));
    $("wall-more").hidden = total === shown.length;
    text($("wall-more"), `and ${(total - shown.length).toLocaleString("en")} more`);
  }

  make(list) {
    const line = { state: el("span", { class: "what" }), name: el("b"), about: el("span", { class: "about" }), why: el("span", { class: "why" }), since: el("time") };
    line.root = el("li", {}, ...Object.values(line));
    list.insertBefore(line.root, $("wall-more"));
    return line;
  }
}

function fill(line, { color, state, name, about: where, why, since }) {
  line.root.dataset.color = color;
  text(line.state, state);
  text(line.name, cut(name));
  text(line.about, cut(where));
  text(line.why, cut(why));
  text(line.since, since === null ? "" : age(since));
}

/** The versions of the files that the page has loaded, in a text. */
async function fileTags() {
  const names = performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname).filter((path) => /^\/[a-z]+\.(js|css)$/.test(path));
  const tags = await Promise.all(["/", ...new Set(names)].sort().slice(0, MAXIMUM_FILES).map(async (path) => {
    const answer = await fetch(path, { method: "HEAD", cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.headers.get("etag");
  }));
  return tags.join(" ");
}

/** More is not seen from afar. */
const cut = (value) => value.length > 200 ? `${value.slice(0, 200)}…` : value;

const rank = ({ color }) => ["bad", "warn"].indexOf(color) >>> 0;
