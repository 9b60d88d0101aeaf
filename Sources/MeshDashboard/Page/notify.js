// Notifications of the browser when an alert fires: one for each group of a rule, replaced when it is over.

import { $, text, visible } from "/dom.js";
import { about, isQuiet } from "/alerts.js";
import { now, parse } from "/times.js";

const KEY = "notify";
/** So many at once; more are one that counts them. */
const MAXIMUM_AT_ONCE = 5;
/** Of so many that were shown the end is said; of older ones it is not. */
const MAXIMUM_SHOWN = 200;
const MAXIMUM_TITLE = 120, MAXIMUM_TEXT = 300;
/** A second notification of a group takes the place of the first. */
const tagOf = ({ rule, group }) => `mesh-events ${JSON.stringify([rule, Object.entries(group).sort()])}`;

const cut = (value, maximum) => visible(value.length > maximum ? `${value.slice(0, maximum)}…` : value);

export class Notifications extends EventTarget {
  /** The alerts that are known to fire, by id. */
  known = new Map();
  /** When the last report came, or the page was opened; null before that. */
  reported = null;
  /** Whether that report had not all that fires: there was none yet, or the list was too long. */
  isCut = true;
  /** The alerts that were told, by tag. */
  shown = new Map();
  /** Whether this tab is the one that tells. */
  isTeller = false;

  constructor(stream) {
    super();
    this.stream = stream;
    stream.addEventListener("hello", ({ detail: { time } }) => { this.reported ??= parse(time); });
    stream.addEventListener("alerts", ({ detail: report }) => this.take(report));
    $("notify").addEventListener("click", () => this.toggle());
    // Another tab has turned it on or off.
    addEventListener("storage", ({ key }) => { if (key === KEY) this.begin(); });
    this.begin();
  }

  get isWanted() { return localStorage.getItem(KEY) === "on"; }

  get isOn() { return this.isWanted && this.why === null && Notification.permission === "granted"; }

  /** Why there can be none; null when there can. */
  get why() {
    if (!isSecureContext) return "Browsers show notifications of pages only over HTTPS, or from localhost.";
    if (!("Notification" in window) || !navigator.locks) return "This browser has no notifications for pages.";
    if (Notification.permission === "denied") return "Notifications of this page are blocked: allow them in the browser's settings of this site.";
    return null;
  }

  /** Only when it is asked for: a browser shows its question upon a click. */
  async toggle() {
    if (this.isOn) {
      localStorage.removeItem(KEY);
      this.say("No notifications any more.");
    } else if (this.why) {
      this.say(this.why);
    } else {
      const permission = await Notification.requestPermission();
      if (permission === "granted") localStorage.setItem(KEY, "on");
      this.say(permission === "granted" ? "The browser shows a notification when an alert fires, also while this tab is hidden."
        : this.why ?? "The browser was not allowed to show notifications.");
    }
    this.begin();
  }

  say(words) { this.dispatchEvent(new CustomEvent("say", { detail: words })); }

  /** One tab tells, and stays connected while it is hidden; when it is closed, another one does. */
  begin() {
    this.render();
    if (!this.isOn) return this.release?.();
    if (this.release) return;
    const end = new AbortController();
    this.release = () => { end.abort(); this.release = null; };
    navigator.locks.request("mesh-events notifications", { signal: end.signal }, () => new Promise((resolve) => {
      if (end.signal.aborted) return resolve();
      this.isTeller = true;
      this.stream.need(true);
      end.signal.addEventListener("abort", () => {
        this.isTeller = false;
        this.stream.need(false);
        resolve();
      });
    })).catch(() => {});
  }

  render() {
    const button = $("notify"), { why } = this;
    button.setAttribute("aria-pressed", String(this.isOn));
    button.setAttribute("aria-disabled", String(why !== null));
    button.title = why ?? (this.isOn ? "The browser shows a notification when an alert fires" : "Have the browser show a notification when an alert fires");
    text($("notify-name"), this.isOn ? "on" : "off");
  }

  /** @param report what fires now; null when that is not known, or no process watches yet. */
  take(report) {
    if (!report) return;
    const { firing, left_out: leftOut } = report;
    const { known, reported, isCut } = this;
    // What is silenced is told when the silence is over and it still fires.
    this.known = new Map(firing.filter((alert) => isCut || known.has(alert.id) || !isQuiet(alert)).map((alert) => [alert.id, alert]));
    this.reported = now();
    this.isCut = Boolean(leftOut?.firing);
    if (!this.isTeller || !this.isOn) return;
    // Behind a list that was cut, what is new may have fired long ago; what is gone from one may fire still.
    const fired = [...this.known.values()].filter((alert) => !known.has(alert.id) && !isQuiet(alert) && (!isCut || parse(alert.since) > reported));
    const present = new Set(firing.map(({ id }) => id));
    const over = this.isCut ? [] : [...known.values()].filter(({ id }) => !present.has(id));
    const told = new Set(firing.map(tagOf));
    for (const alert of over) {
      const tag = tagOf(alert);
      // The group may have fired again at once.
      if (this.shown.delete(tag) && !told.has(tag)) this.show(`Over: ${alert.rule}`, about(alert), tag, alert);
    }
    if (fired.length > MAXIMUM_AT_ONCE) {
      return this.show(`${fired.length.toLocaleString("en")} alerts fire`, fired.slice(0, MAXIMUM_AT_ONCE).map(({ rule }) => rule).join(", "), "mesh-events many", null);
    }
    for (const alert of fired) {
      const tag = tagOf(alert);
      this.shown.set(tag, alert);
      if (this.shown.size > MAXIMUM_SHOWN) this.shown.delete(this.shown.keys().next().value);
      this.show(`${alert.severity}: ${alert.rule}`, [about(alert), alert.reason].filter(Boolean).join("\n"), tag, alert);
    }
  }

  show(title, body, tag, alert) {
    try {
      // What strangers wrote is plain text in it, and short.
      const notification = new Notification(cut(title, MAXIMUM_TITLE), { body: cut(body, MAXIMUM_TEXT), tag });
      notification.onclick = () => {
        window.focus();
        notification.close();
        if (alert) this.dispatchEvent(new CustomEvent("open", { detail: alert }));
      };
    } catch {
      // Browsers of telephones show them only for what is installed.
      localStorage.removeItem(KEY);
      this.say("This browser shows notifications only for installed apps.");
      this.begin();
    }
  }
}
