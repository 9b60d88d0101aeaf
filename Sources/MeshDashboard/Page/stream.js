// The connection to the server: opened again when it is lost, from the last event that came.

import { encoded } from "/filters.js";
import { request } from "/dom.js";
import { synchronize } from "/times.js";

/** The server says the time every 5 s; longer silence is a lost connection. */
const SILENCE = 15_000;
const NOTICES = ["hello", "link", "mesh", "node"];

export class Stream extends EventTarget {
  source = null;
  /** The last sequence that has come; null before the first answer. */
  last = null;
  attempts = 0;
  retryAt = 0;
  heard = 0;
  state = "connecting";

  constructor(filters) {
    super();
    this.filters = filters;
    setInterval(() => this.watch(), 500);
    addEventListener("online", () => { if (this.state === "waiting") this.connect(); });
  }

  /** Begins anew, with what comes from now on. */
  begin() {
    this.last = null;
    this.attempts = 0;
    this.connect();
  }

  connect() {
    this.source?.close();
    this.to(this.attempts === 0 ? "connecting" : "reconnecting");
    const query = this.filters.query({ withText: false });
    if (this.last !== null) query.set("after", String(this.last));
    const source = new EventSource(`/api/stream?${encoded(query)}`);
    this.source = source;
    this.heard = performance.now();
    const on = (name, body) => source.addEventListener(name, (message) => {
      if (source !== this.source) return;
      this.heard = performance.now();
      this.attempts = 0;
      if (message.lastEventId) this.last = Number(message.lastEventId);
      if (this.state !== "live") this.to("live");
      body(JSON.parse(message.data), message);
    });
    on("message", (event) => this.tell("event", event));
    on("gap", (gap) => this.tell("gap", gap));
    on("position", ({ sequence }) => this.tell("position", sequence));
    on("reset", ({ sequence }) => this.tell("reset", sequence));
    on("time", ({ time }) => synchronize(time));
    for (const name of NOTICES) on(name, (value) => this.tell(name, value));
    source.onerror = () => { if (source === this.source) this.lost(); };
  }

  /** Closes it for good, until `begin` or `connect`. */
  stop() {
    this.source?.close();
    this.source = null;
    this.to("stopped");
  }

  async lost() {
    this.source?.close();
    this.source = null;
    this.attempts += 1;
    this.retryAt = Date.now() + Math.min(1000 * 2 ** (this.attempts - 1), 8000);
    this.to("waiting");
    // EventSource does not say why: perhaps one has to log in.
    try {
      const session = await request("/api/session");
      if (session.login && !session.logged_in) {
        this.stop();
        this.tell("login");
      }
    } catch {
      // Tried again anyway.
    }
  }

  watch() {
    if (this.state === "waiting") {
      if (Date.now() >= this.retryAt) this.connect(); else this.tell("state", this.state);
    } else if (this.source && performance.now() - this.heard > SILENCE) {
      this.lost();
    }
  }

  get secondsToRetry() { return Math.max(1, Math.ceil((this.retryAt - Date.now()) / 1000)); }

  to(state) {
    this.state = state;
    this.tell("state", state);
  }

  tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }
}
