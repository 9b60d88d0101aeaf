// The events that are held: what was loaded from the history and what has come, oldest first, bounded.

import { aboutNode, encoded } from "/filters.js";
import { request } from "/dom.js";
import { parse } from "/times.js";

const PAGE = 200;
/** Beyond this the oldest are let go; they can be loaded again. */
const MAXIMUM = 50_000;
const EXCESS = 5_000;
const RETRY = 2_000;
/** So many may wait while it is paused. */
const MAXIMUM_PENDING = 20_000;
const MAXIMUM_NODES = 500;
/** What is not kept is held up to so many characters of its texts. */
const MAXIMUM_HEARD = 16 << 20;

export class Events extends EventTarget {
  rows = [];
  /** What has come while it was paused. */
  pending = [];
  isPaused = false;
  /** The sequence where older events begin: `undefined` when nothing was asked yet, `null` when there are none. */
  cursor = undefined;
  /** When the stream was created that has the events, as it stands in ids; null when that is not known. */
  created = null;
  isLoading = false;
  error = null;
  /** Since when nothing is kept, so that what is held is only what has come; null while there is a stream. */
  live = null;
  /** What has come since then, oldest first, whatever text and time are looked for. */
  heard = [];
  /** How many characters the texts of that have. */
  heardLength = 0;
  /** The nodes whose events have been seen. */
  nodes = new Set();
  /** Goes up with every new beginning: answers to older questions are thrown away. */
  generation = 0;

  constructor(filters) {
    super();
    this.filters = filters;
  }

  /** Forgets all and loads the newest events, those up to the event of this id; the stream goes on behind it. */
  async begin(id) {
    const [position, created] = split(id);
    this.created = created;
    this.clear();
    this.tell("cleared");
    await this.loadOlder(position + 1);
    for (const row of this.early.splice(0)) this.take(row);
  }

  clear() {
    this.generation += 1;
    this.rows = [];
    this.pending = [];
    this.early = [];
    this.cursor = undefined;
    this.error = null;
    this.isLoading = false;
    this.live = null;
    this.heard = [];
    this.heardLength = 0;
  }

  // While nothing is kept

  /** Forgets all: there is no stream, only what comes from now on. */
  beginLive(since) {
    this.clear();
    this.live = since;
    this.cursor = null;
    this.tell("cleared");
  }

  /** The connection is back; so many events have come since nothing is kept. */
  resume(count) {
    if (count > (this.heard.at(-1)?.sequence ?? 0)) this.addLive({ kind: "gap", id: `gap-${count}`, sequence: count, reason: "away" });
  }

  /** So many events were lost, up to that with the number `live`; null when it is not known how many came behind it. */
  addMissed({ live, count }) {
    if (count === null) this.addLive({ kind: "gap", id: `gap-${live}-lost`, sequence: live + 0.5, reason: "away" });
    else this.addLive({ kind: "gap", id: `gap-${live}`, sequence: live, from: live - count + 1, to: live, reason: "overrun" });
  }

  addLive(row) {
    // A number among those that have come is no sequence of a stream.
    if (this.live === null) return;
    this.heard.push(row);
    this.heardLength += row.raw?.length ?? 0;
    while (this.heard.length > MAXIMUM || this.heardLength > MAXIMUM_HEARD) this.forgetHeard();
    if (row.event) this.see(aboutNode(row.event));
    if (this.isWanted(row)) this.take(row);
  }

  /** Lets the oldest go, for good; some at once, since that moves the others. */
  forgetHeard() {
    for (const { raw } of this.heard.splice(0, Math.ceil(this.heard.length / 10))) this.heardLength -= raw?.length ?? 0;
    const first = this.heard[0]?.sequence ?? Infinity;
    for (const rows of [this.rows, this.pending]) {
      const kept = rows.findIndex(({ sequence }) => sequence >= first);
      rows.splice(0, kept < 0 ? rows.length : kept);
    }
  }

  /** Another text or time is looked for in what has come. */
  lookThrough() {
    this.rows = this.heard.filter((row) => this.isWanted(row));
    this.pending = [];
    this.tell("cleared");
  }

  isWanted({ kind, time, event }) {
    const { filters } = this;
    if (kind === "gap") return !filters.isBounded;
    return filters.hasText(event) && (!filters.isBounded || time >= filters.since && time <= filters.until);
  }

  /** Events that come before the history has answered. */
  early = [];

  /** An event of the stream. */
  add(event) {
    if (this.filters.isBounded || !this.filters.hasText(event)) return;
    this.see(aboutNode(event));
    this.take(eventRow(event));
  }

  /** Sequences that are missing. */
  addGap({ from, to, reason }) {
    if (!this.filters.isBounded) this.take({ kind: "gap", id: `gap-${from}`, sequence: to, from, to, reason });
  }

  see(node) {
    if (!node || this.nodes.has(node) || this.nodes.size >= MAXIMUM_NODES) return;
    this.nodes.add(node);
    this.tell("nodes");
  }

  take(row) {
    if (this.cursor === undefined) {
      this.early.push(row);
      return;
    }
    const newest = (this.pending.at(-1) ?? this.rows.at(-1))?.sequence ?? 0;
    if (row.sequence <= newest) return;
    if (this.isPaused) {
      this.pending.push(row);
      if (this.pending.length > MAXIMUM_PENDING) this.letGo(this.pending);
    } else {
      this.rows.push(row);
      if (this.rows.length > MAXIMUM) this.forget(EXCESS);
    }
    this.tell("added");
  }

  /** Lets the oldest go; those that are kept can be loaded again. */
  forget(count) {
    this.rows.splice(0, count);
    if (this.live === null) this.cursor = this.rows[0].sequence;
  }

  /** Of what waits too long the oldest become a gap, so that it shows. */
  letGo(rows) {
    const gone = rows.splice(0, EXCESS);
    const from = gone[0].from ?? gone[0].sequence;
    rows.unshift({ kind: "gap", id: `gap-${from}`, sequence: gone.at(-1).sequence, from, to: gone.at(-1).sequence, reason: "paused" });
  }

  pause(isPaused) {
    this.isPaused = isPaused;
    if (!isPaused && this.pending.length) {
      this.rows.push(...this.pending.splice(0));
      if (this.rows.length > MAXIMUM) this.forget(this.rows.length - MAXIMUM + EXCESS);
    }
    this.tell("added");
  }

  get hasOlder() { return this.cursor !== null; }

  /** After an error. */
  async again(before) {
    this.error = null;
    await this.loadOlder(before);
    if (this.cursor !== undefined) for (const row of this.early.splice(0)) this.take(row);
  }

  /** Loads the page before what is held. */
  async loadOlder(before = this.cursor ?? null) {
    if (this.isLoading || this.cursor === null) return;
    this.isLoading = true;
    this.tell("loading");
    const { generation } = this;
    const query = this.filters.query();
    query.set("limit", String(PAGE));
    if (before !== null) query.set("before", join(before, this.created));
    for (const [name, value] of this.filters.times()) query.set(name, value);
    try {
      const page = await request(`/api/events?${encoded(query)}`);
      if (generation !== this.generation) return;
      for (const event of page.events) this.see(aboutNode(event));
      this.rows.unshift(...page.events.map(eventRow));
      [this.cursor, this.created] = page.cursor === null ? [null, this.created] : split(page.cursor);
      this.error = null;
    } catch (error) {
      if (generation !== this.generation) return;
      this.error = error;
      if (error.status === 401) this.tell("login");
      else setTimeout(() => { if (generation === this.generation) this.again(before); }, RETRY);
    } finally {
      if (generation === this.generation) {
        this.isLoading = false;
        this.tell("loaded");
      }
    }
  }

  tell(name) { this.dispatchEvent(new Event(name)); }
}

/** The sequence of an id, and when its stream was created, as text: it has more digits than a number. */
export function split(id) {
  const [sequence, created] = id.split("-");
  return [Number(sequence), created ?? null];
}

/** The id of a sequence in the stream that was created then. */
export const join = (sequence, created) => created === null ? String(sequence) : `${sequence}-${created}`;

export function eventRow(event) {
  return { kind: "event", id: `event-${event.sequence}`, sequence: event.sequence, time: parse(event.stored), event };
}

/** The row of an event that is not kept; it has the number among those that have come for a sequence. */
export function liveRow(event, raw) {
  const { live: number, received } = event;
  return { kind: "event", id: `live-${number}`, sequence: number, time: parse(received), event: { ...event, sequence: number }, raw };
}
