// What is shown, kept in the address: a link shows another person the same.

import { KEYS, RANGES, STANDARD_RANGE, read } from "/address.js";

/** The types of events that one node emits about another, which their data names. */
const REPORTS = new Set(["node.unreachable", "node.recovered", "node.forgotten", "node.maintenance"]);

/** The node that an event is about: what filters by node look at. */
export const aboutNode = ({ type, node, data }) =>
  REPORTS.has(type) && typeof data?.node === "string" && data.node || node;

/** What is shown beside the events that are selected. */
const VIEWS = ["event", "log", "logText", "logStandardError", "wall"];
/** What is typed is no step that one goes back to. */
const TYPED = ["text", "pattern", "where", "logText"];

export class Filters extends EventTarget {
  /** What the address has and the page does not know: names of parameters, with their values where the name is known. */
  ignored = [];

  constructor() {
    super();
    this.read();
    addEventListener("popstate", () => {
      const before = this.values();
      this.read();
      this.tell(KEYS.filter((key) => JSON.stringify(before[key]) !== JSON.stringify(this[key])));
    });
  }

  read() {
    const { values, ignored } = read(location.search);
    Object.assign(this, values);
    this.ignored = ignored;
  }

  values() { return Object.fromEntries(KEYS.map((key) => [key, this[key]])); }

  /**
   * Changes some of it; tells what has changed. An open event is closed by another selection of events.
   *
   * @param isStep whether going back undoes it; what is typed is none.
   */
  change(values, { isStep = true } = {}) {
    const isOther = (key) => JSON.stringify(values[key]) !== JSON.stringify(this[key]);
    const isSelection = Object.keys(values).some((key) => isOther(key) && key !== "range" && !VIEWS.includes(key));
    if (isSelection && this.event !== null) values = { event: null, ...values };
    const changed = Object.keys(values).filter(isOther);
    if (changed.length === 0) return;
    Object.assign(this, values);
    this.ignored = [];
    const isNew = isStep && !changed.every((key) => TYPED.includes(key));
    try {
      history[isNew ? "pushState" : "replaceState"](null, "", this.address);
    } catch {
      // A browser takes so many changes at a time; the next one has this, too.
    }
    this.tell(changed);
  }

  /** Tells what selects events as `change`, what is shown beside them as `view`. */
  tell(changed) {
    const views = changed.filter((key) => VIEWS.includes(key)), others = changed.filter((key) => !VIEWS.includes(key));
    if (others.length) this.dispatchEvent(new CustomEvent("change", { detail: others }));
    if (views.length) this.dispatchEvent(new CustomEvent("view", { detail: views }));
  }

  /** The address of what is shown, without the host. */
  get address() {
    const query = this.query();
    if (this.range !== STANDARD_RANGE) query.set("range", this.range);
    for (const [name, value] of this.times()) query.set(name, value);
    if (this.event !== null) query.set("event", this.event);
    if (this.log) {
      query.set("log", this.log.tool);
      query.set("log-node", this.log.node);
      if (this.logText) query.set("log-text", this.logText);
      if (this.logStandardError) query.set("log-stderr", "1");
    }
    if (this.wall) query.set("wall", "1");
    return query.size ? `?${query}` : location.pathname;
  }

  /** The same with other values. */
  addressWith(values) { return Object.assign(Object.create(this), values).address; }

  /** The bounds of a time that is over, as parameters; none when what comes is shown. */
  times() {
    return this.isBounded ? [["since", new Date(this.since).toISOString()], ["until", new Date(this.until).toISOString()]] : [];
  }

  /** What the stream is asked for: the wall is about the whole mesh. */
  get streamQuery() { return this.wall ? new URLSearchParams() : this.query({ withText: false }); }

  clear() { this.change({ pattern: "", types: [], node: "", where: [], text: "", since: null, until: null }); }

  get isActive() { return Boolean(this.pattern || this.types.length || this.node || this.where.length || this.text || this.isBounded); }

  /** Whether only a time is shown that is over. */
  get isBounded() { return this.since !== null; }

  get rangeSeconds() { return RANGES.find(([name]) => name === this.range)[1]; }

  /** What the server filters by; the text only when it looks back: what comes is filtered here. */
  query({ withText = true, withTypes = true, withWhere = true } = {}) {
    const query = new URLSearchParams();
    for (const pattern of this.pattern.split(/[\s,]+/).filter(Boolean)) query.append("pattern", pattern);
    if (withTypes) for (const type of this.types) query.append("type", type);
    if (this.node) query.set("node", this.node);
    if (withWhere) for (const condition of this.where) query.append("where", condition);
    if (withText && this.text) query.set("text", this.text);
    return query;
  }

  /** Whether an event that the server let through has the text. */
  hasText(event) {
    if (!this.text) return true;
    const text = this.text.toLowerCase();
    return event.type.toLowerCase().includes(text) || event.node.toLowerCase().includes(text)
      || JSON.stringify(event.data ?? null).toLowerCase().includes(text);
  }

  toggleType(type) {
    const types = this.types.includes(type) ? this.types.filter((other) => other !== type) : [...this.types, type];
    this.change({ types });
  }
}

/** The conditions of a text, between which `and` stands; what is in quotes is not divided. */
export function conditions(text) {
  const found = [""];
  text.split(/("(?:\\.|[^"\\])*"?)/).forEach((part, index) => {
    const [first, ...others] = index % 2 ? [part] : part.split(/\s+and(?:\s+|$)/);
    found[found.length - 1] += first;
    found.push(...others);
  });
  return found.map((condition) => condition.trim()).filter(Boolean);
}

/** The query as the server reads it: it takes + for a plus. */
export const encoded = (query) => query.toString().replaceAll("+", "%20");
