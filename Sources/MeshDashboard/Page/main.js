// Puts the page together.

import { Alerts } from "/alerts.js";
import { Away } from "/away.js";
import { $, copied, el, text, debounced, once, request } from "/dom.js";
import { allowControl } from "/control.js";
import { Detail } from "/detail.js";
import { Events, eventRow, join, liveRow, split } from "/events.js";
import { Export } from "/export.js";
import { Filters, conditions, encoded } from "/filters.js";
import { Histogram } from "/histogram.js";
import { Keeper } from "/keeper.js";
import { installKeys } from "/keys.js";
import { List } from "/list.js";
import { Logs } from "/logs.js";
import { logIn, logOut, showUser } from "/login.js";
import { Nodes } from "/nodes.js";
import { Notifications } from "/notify.js";
import { Stream } from "/stream.js";
import { clock } from "/times.js";
import { Wall } from "/wall.js";

/** More than one wants to choose from. */
const MAXIMUM_CHOICES = 500;

const filters = new Filters();
const stream = new Stream(filters);
const events = new Events(filters);
const list = new List(events, filters);
const detail = new Detail(filters);
const histogram = new Histogram(filters);
const nodes = new Nodes(filters);
const keeper = new Keeper();
const alerts = new Alerts(filters);
const logs = new Logs(filters);
new Away(filters, stream);
const notifications = new Notifications(stream);
const exporting = new Export(filters);
const wall = new Wall({ filters, stream, nodes, alerts });

// The stream

let problem = null;
/** What else the server has to say of what it shows. */
let note = null;
/** Whether the list is to be loaded as soon as it is known where the stream is. */
let isFresh = true;
/** What the user may do; the server says more with each connection. */
let can = {};

function begin() {
  isFresh = true;
  stream.begin();
}

stream.addEventListener("position", () => {
  if (events.live !== null) return beginAnew();
  if (!isFresh) return;
  isFresh = false;
  // The wall has no list.
  if (wall.isOn) return events.clear();
  events.begin(stream.last);
  nodes.needSamples();
});
stream.addEventListener("reset", beginAnew);

/** What is shown is of another stream, or of none. */
function beginAnew() {
  isFresh = false;
  detail.close({ isStep: false });
  list.forget();
  if (!wall.isOn) events.begin(stream.last);
  histogram.reset();
  nodes.reset({ isKept: true });
}

stream.addEventListener("unkept", ({ detail: { since, live: count } }) => {
  if (events.live === since && !isFresh) return events.resume(count);
  const isNew = events.live !== since;
  isFresh = false;
  detail.close({ isStep: false });
  list.forget();
  events.beginLive(since);
  if (!isNew) return;
  histogram.reset();
  nodes.reset({ isKept: false });
});
stream.addEventListener("live", ({ detail: { event, raw } }) => {
  wall.see(event);
  if (wall.isOn) return;
  const row = liveRow(event, raw);
  events.addLive(row);
  nodes.sample(row.event);
  histogram.add(row);
});
stream.addEventListener("missed", ({ detail: missed }) => { if (!wall.isOn) events.addMissed(missed); });
stream.addEventListener("event", ({ detail: event }) => {
  wall.see(event);
  if (wall.isOn) return;
  events.add(event);
  nodes.sample(event);
  histogram.add(eventRow(event));
});
stream.addEventListener("gap", ({ detail: gap }) => { if (!wall.isOn) events.addGap(gap); });
stream.addEventListener("mesh", ({ detail: mesh }) => { nodes.set(mesh); nodeChoices(); });
stream.addEventListener("node", ({ detail: node }) => { nodes.update(node); nodeChoices(); });
stream.addEventListener("keeper", ({ detail: report }) => keeper.set(report));
stream.addEventListener("alerts", ({ detail: report }) => alerts.set(report));
stream.addEventListener("hello", ({ detail: { login, logs: isAllowed } }) => {
  $("logout").hidden = !login;
  logs.allow(isAllowed === true && can.logs !== false);
  showWord();
});
stream.addEventListener("hello", ({ detail: { control } }) => { allowControl(control === true && can.control !== false); nodes.refresh(); });
stream.addEventListener("time", ({ detail: { time, mesh } }) => nodes.toldUntil(mesh, time));
stream.addEventListener("link", ({ detail }) => { ({ problem, note = null } = detail); showState(); });
stream.addEventListener("state", showState);
stream.addEventListener("login", askForToken);
events.addEventListener("login", askForToken);
events.addEventListener("added", showState);
events.addEventListener("nodes", () => nodeChoices());

async function askForToken() {
  stream.stop();
  await logIn();
  enter();
}

function showState() {
  const waiting = events.pending.length ? `, ${events.pending.length.toLocaleString("en")} new` : "";
  const [state, label] = stream.state === "waiting" ? ["lost", `Reconnecting in ${stream.secondsToRetry} s`]
    : stream.state === "reconnecting" ? ["lost", "Reconnecting"]
    : stream.state === "stopped" ? ["lost", "Not logged in"]
    : stream.state === "refused" ? ["lost", "Not accepted"]
    : stream.state === "asleep" ? ["paused", "Asleep"]
    : stream.state === "connecting" ? ["connecting", "Connecting"]
    : problem ? ["lost", "Mesh unreachable"]
    : events.isPaused ? ["paused", `Paused${waiting}`]
    : filters.isBounded ? ["paused", `Showing ${clock(filters.since, false)} to ${clock(filters.until, false)}`]
    : note ? ["live", "Live, not kept"] : ["live", "Live"];
  $("link").dataset.state = state;
  text($("link-text"), label);
  const isAway = stream.state === "waiting" || stream.state === "reconnecting";
  const told = stream.problem ? `${stream.problem} What is shown may be old.`.replace(/([^.])( What)/, "$1.$2")
    : isAway ? "The dashboard cannot be reached. What is shown may be old." : problem;
  if (stream.state === "refused") showError(stream.code === "invalidCondition" ? "where" : "pattern", stream.problem);
  $("problem").hidden = !told;
  text($("problem"), told ?? "");
  showNote();
  text($("pause"), events.isPaused ? "Go on" : "Pause");
  $("pause").setAttribute("aria-pressed", String(events.isPaused));
}

/** With what stands between backticks as code. */
function showNote() {
  const box = $("note");
  box.hidden = !note;
  if (box.dataset.text === (note ?? "")) return;
  box.dataset.text = note ?? "";
  box.replaceChildren(...box.dataset.text.split("`").map((part, index) => index % 2 ? el("code", {}, part) : part));
}

function togglePause() { events.pause(!events.isPaused); }

// The mesh is asked for now and then: nodes that are forgotten say nothing.
setInterval(() => { if (!document.hidden && stream.state === "live") nodes.refresh(); }, 60_000);

// The filters

/** The fields with a text that is not taken yet. */
const typed = new Set();

function showFilters() {
  const isFree = (id) => document.activeElement !== $(id) && !typed.has(id);
  for (const id of ["pattern", "text"]) if (isFree(id)) $(id).value = filters[id];
  // What is wrong stays, to be mended.
  if (isFree("where") && $("where").getAttribute("aria-invalid") !== "true") $("where").value = filters.where.join(" and ");
  choose($("node"), filters.node);
  choose($("type"), filters.types.length > 1 ? "several" : filters.types[0] ?? "", `${filters.types.length} types`);
  $("clear").hidden = !filters.isActive;
  histogram.legend();
}

/** Selects a value, which becomes a choice when it is none yet. */
function choose(select, value, label = value) {
  const option = [...select.options].find((option) => option.value === value);
  if (option) { if (value === "several") text(option, label); } else select.append(el("option", { value }, label));
  select.value = value;
}

function choices(select, values) {
  const known = new Set([...select.options].map(({ value }) => value));
  for (const value of values) if (!known.has(value) && select.options.length < MAXIMUM_CHOICES) select.append(el("option", { value }, value));
}

const nodeChoices = once(() => choices($("node"), [...new Set([...nodes.nodes.keys(), ...events.nodes])].sort().slice(0, MAXIMUM_CHOICES)));
histogram.onTypes = (types) => choices($("type"), types.slice(0, MAXIMUM_CHOICES).sort());

/** Takes what is typed in a field, a moment after the last key. */
function whenTyped(id, milliseconds, take) {
  const later = debounced(milliseconds, async () => {
    const { value } = $(id);
    await take(value);
    if ($(id).value === value) typed.delete(id);
  });
  $(id).addEventListener("input", () => { typed.add(id); later(); });
}

whenTyped("pattern", 400, (value) => filters.change({ pattern: value.trim() }));
whenTyped("where", 400, takeWhere);
whenTyped("text", 250, (value) => filters.change({ text: value }));
$("node").addEventListener("change", () => filters.change({ node: $("node").value }));
$("type").addEventListener("change", () => {
  if ($("type").value !== "several") filters.change({ types: $("type").value ? [$("type").value] : [] });
});
$("clear").addEventListener("click", () => filters.clear());

filters.addEventListener("change", async ({ detail: changed }) => {
  if (changed.includes("where") || !filters.isActive) showError("where", null);
  if (!filters.isActive && changed.some((key) => key !== "range")) typed.clear();
  showFilters();
  showWord();
  if (changed.length === 1 && changed[0] === "range") return;
  if (filters.event === null) detail.hide();
  if (changed.includes("pattern") && !(await isPattern())) return;
  // The text is no matter of the stream, nor is a time that is over.
  if (["pattern", "types", "node", "where"].some((key) => changed.includes(key))) begin();
  else if (events.live !== null) events.lookThrough();
  else if (stream.last !== null) events.begin(stream.last);
  else begin();
  showState();
});

filters.addEventListener("view", ({ detail: changed }) => {
  showWord();
  if (changed.includes("wall")) showWall();
  if (changed.includes("event")) showEvent();
  if (changed.some((key) => key.startsWith("log"))) logs.show();
});

/** Opens the event that the address names, or closes the one that is open. */
async function showEvent() {
  const id = filters.event;
  if (id === null) return detail.hide();
  const [sequence, created] = split(id);
  if (detail.sequence === sequence) return;
  const event = await request(`/api/events/${id}`).catch((error) => error);
  if (filters.event !== id || detail.sequence === sequence) return;
  if (event instanceof Error) {
    if (event.status === 404 || event.status === 410) say(`The event ${sequence} of this link is no longer in the stream.`);
    else if (event.status !== 401) say(`The event ${sequence} of this link cannot be shown: ${event.message}`);
    return;
  }
  list.active = sequence;
  list.draw();
  detail.open(eventRow(event), created);
}

/** The list begins anew behind the wall, and the wall needs none. */
function showWall() {
  wall.show();
  events.clear();
  list.draw();
  if (stream.state === "stopped") return;
  begin();
  if (!wall.isOn) histogram.load();
}

/** What the user was told last, until it is dismissed or the address changes. */
let word = "";

function say(words) {
  word = words;
  showWord();
}

/** Says what of the address is left out, and what else there is to say. */
function showWord() {
  const parts = [word];
  if (filters.ignored.length) parts.push(`This page does not know a part of its address, and leaves it out: ${filters.ignored.join(" · ")}`);
  if (filters.log && document.body.dataset.logs === "false") parts.push("This page may not read the log that its address names.");
  const words = parts.filter(Boolean).join(" ");
  $("word").hidden = !words;
  text($("word-text"), words);
}

/** Takes the conditions that are typed; while they are wrong, those before hold. */
async function takeWhere(value) {
  const where = conditions(value);
  const query = new URLSearchParams(where.map((condition) => ["where", condition]));
  query.set("buckets", "1");
  // This checks them, and looks for nothing.
  const error = await request(`/api/histogram?${encoded(query)}`).then(() => null, (error) => error);
  if (value !== $("where").value) return;
  const isWrong = error?.code === "invalidCondition";
  showError("where", isWrong ? error.message : null);
  if (!isWrong) filters.change({ where });
}

async function isPattern() {
  const query = filters.query({ withText: false, withWhere: false });
  query.set("limit", "1");
  // While nothing is kept, the stream says it.
  const error = filters.pattern && events.live === null ? await request(`/api/events?${encoded(query)}`).then(() => null, (error) => error) : null;
  const isWrong = error?.code === "invalidPattern";
  showError("pattern", isWrong ? error.message : null);
  return !isWrong;
}

/** Says under the fields what is wrong with one of them. */
function showError(field, message) {
  $(`${field}-error`).hidden = !message;
  text($(`${field}-error`), message ?? "");
  $(field).setAttribute("aria-invalid", String(Boolean(message)));
}

// Opening, theme, keys

/** Where the list lies below the screen. */
const narrow = matchMedia("(max-width: 1080px)");

/** The row that is open and not in the address yet. */
let unnamed = null;

/** Opens an event of the list. To go from one to the next is no step of its own. */
function open(row) {
  const isStep = !detail.isOpen;
  detail.open(row, events.created);
  unnamed = row;
  if (isStep) nameOpen({ isStep }); else nameOpenLater();
}

/** Puts the open event into the address; one that is not kept has none. */
function nameOpen(options = { isStep: false }) {
  const row = unnamed;
  unnamed = null;
  if (row === null || detail.sequence !== row.sequence) return;
  filters.change({ event: row.raw === undefined ? join(row.sequence, events.created) : null }, options);
}

// Who holds a key down goes on faster than browsers take addresses.
const nameOpenLater = debounced(200, () => nameOpen());
detail.beforeClosing = nameOpen;

list.addEventListener("open", ({ detail: row }) => open(row));
list.addEventListener("move", ({ detail: row }) => { if (detail.isOpen && row.kind === "event") open(row); });
alerts.addEventListener("show", async ({ detail: sequence }) => {
  if (narrow.matches) $("events").scrollIntoView();
  if (sequence === null) return;
  // The stream may have dropped it.
  const event = await request(`/api/events/${join(sequence, events.created)}`).catch(() => null);
  if (!event) return;
  list.active = sequence;
  list.draw();
  open(eventRow(event));
});
notifications.addEventListener("say", ({ detail: words }) => say(words));
notifications.addEventListener("open", ({ detail: alert }) => { if (!wall.isOn) alerts.show(alert); });
$("pause").addEventListener("click", togglePause);
$("copy-link").addEventListener("click", copyLink);
$("wall-open").addEventListener("click", () => wall.enter());
$("word-close").addEventListener("click", () => {
  filters.ignored = [];
  say("");
});
$("logout").addEventListener("click", logOut);

async function copyLink() {
  const link = new URL(filters.address, location.href).href;
  text($("copy-link"), await copied(link) ? "Copied" : "Not copied");
  if ($("copy-link").textContent === "Not copied") say(`Copy the link from here: ${link}`);
  setTimeout(() => text($("copy-link"), "Copy link"), 2_000);
}

const THEMES = ["system", "light", "dark"];

function theme(name) {
  if (name === "system") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = name;
  text($("theme-name"), name);
  $("theme").setAttribute("aria-label", `Theme: ${name}`);
  histogram.recolor();
}

function nextTheme() {
  const name = THEMES[(THEMES.indexOf(localStorage.getItem("theme") ?? "system") + 1) % THEMES.length];
  localStorage.setItem("theme", name);
  theme(name);
}

$("theme").addEventListener("click", nextTheme);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => histogram.recolor());
installKeys({ list, detail, filters, actions: { pause: togglePause, theme: nextTheme, wall: () => wall.enter(), link: copyLink } });

function start() {
  begin();
  histogram.load();
  showEvent();
}

/** Begins, when the user may see anything. */
async function enter() {
  const session = await request("/api/session").catch(() => null);
  if (session) {
    $("logout").hidden = !session.login;
    can = session.can ?? {};
    showUser(session);
    exporting.allow(can.export !== false);
  }
  if (session?.login && !session.logged_in) askForToken(); else start();
}

theme(localStorage.getItem("theme") ?? "system");
showFilters();
showState();
showWord();
wall.show();
enter();
