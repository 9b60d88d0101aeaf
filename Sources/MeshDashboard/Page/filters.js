// The filters, kept in the address: a link shows another person the same.

export const RANGES = [["5m", 300], ["15m", 900], ["1h", 3600], ["6h", 21_600], ["24h", 86_400]];

/** The types of events that one node emits about another, which their data names. */
const REPORTS = new Set(["node.unreachable", "node.recovered", "node.forgotten", "node.maintenance"]);

/** The node that an event is about: what filters by node look at. */
export const aboutNode = ({ type, node, data }) =>
  REPORTS.has(type) && typeof data?.node === "string" && data.node || node;

export class Filters extends EventTarget {
  constructor() {
    super();
    this.read();
    addEventListener("popstate", () => { this.read(); this.tell(["pattern", "range"]); });
  }

  read() {
    const query = new URLSearchParams(location.search);
    this.pattern = query.get("pattern") ?? "";
    this.types = query.getAll("type");
    this.node = query.get("node") ?? "";
    this.where = query.getAll("where");
    this.text = query.get("text") ?? "";
    this.range = RANGES.some(([name]) => name === query.get("range")) ? query.get("range") : "15m";
    this.since = time(query.get("since"));
    this.until = time(query.get("until"));
    if (this.since === null || this.until === null || this.since >= this.until) this.since = this.until = null;
  }

  /** Changes some of it; tells what has changed. */
  change(values) {
    const changed = Object.keys(values).filter((key) => JSON.stringify(values[key]) !== JSON.stringify(this[key]));
    if (changed.length === 0) return;
    Object.assign(this, values);
    const query = this.query();
    if (this.range !== "15m") query.set("range", this.range);
    if (this.isBounded) {
      query.set("since", new Date(this.since).toISOString());
      query.set("until", new Date(this.until).toISOString());
    }
    const address = query.size ? `?${query}` : location.pathname;
    // Typing is no step that one goes back to.
    const isStep = !["text", "pattern", "where"].some((key) => changed.includes(key));
    history[isStep ? "pushState" : "replaceState"](null, "", address);
    this.tell(changed);
  }

  tell(changed) { this.dispatchEvent(new CustomEvent("change", { detail: changed })); }

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

function time(value) {
  const parsed = value === null ? NaN : Date.parse(value);
  return Number.isNaN(parsed) ? null : parsed;
}

/** The query as the server reads it: it takes + for a plus. */
export const encoded = (query) => query.toString().replaceAll("+", "%20");
