// The connection to the server: opened again when it is lost, from the last event that came.

import { encoded } from "/filters.js";
import { refusal } from "/dom.js";
import { sessionHeaders } from "/session.js";
import { synchronize } from "/times.js";

/** The server says the time every 5 s; longer silence is a lost connection. */
const SILENCE = 15_000;
/** A tab that is hidden for so long gives its connection back: a browser has six for all tabs of a host. */
const HIDDEN = 5_000;
const NOTICES = ["hello", "link", "mesh", "node", "keeper", "alerts", "unkept", "missed"];

export class Stream extends EventTarget {
  /** Ends the connection that is open; null when none is. */
  source = null;
  /** Why there is no connection, when the server has said it. */
  problem = null;
  /** The code of that. */
  code = null;
  /** The id of the last event that has come, its sequence and its stream; null before the first answer. */
  last = null;
  attempts = 0;
  retryAt = 0;
  heard = 0;
  state = "connecting";
  /** Whether it stays open while the tab is hidden: it is listened to for notifications. */
  isNeeded = false;

  constructor(filters) {
    super();
    this.filters = filters;
    setInterval(() => this.watch(), 500);
    let hiding = 0;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(hiding);
      if (!document.hidden) { if (this.state === "asleep") this.connect(); return; }
      hiding = setTimeout(() => {
        if (!document.hidden || this.isNeeded || this.state === "stopped" || this.state === "refused") return;
        this.close();
        this.to("asleep");
      }, HIDDEN);
    });
    addEventListener("online", () => { if (this.state === "waiting") this.connect(); });
  }

  /** Begins anew, with what comes from now on. */
  begin() {
    this.last = null;
    this.attempts = 0;
    this.connect();
  }

  async connect() {
    this.close();
    this.to(this.attempts === 0 ? "connecting" : "reconnecting");
    const query = this.filters.streamQuery;
    if (this.last !== null) query.set("after", this.last);
    const source = new AbortController();
    this.source = source;
    this.heard = performance.now();
    let error = null;
    try {
      // Not EventSource, which sends no header and does not say why there is no answer.
      const answer = await fetch(`/api/stream?${encoded(query)}`, {
        signal: source.signal, headers: { accept: "text/event-stream", ...sessionHeaders() }, cache: "no-store",
      });
      if (!answer.ok) throw await refusal(answer);
      for await (const message of messages(answer.body)) {
        if (source !== this.source) return;
        this.take(message);
      }
    } catch (found) {
      error = found;
    }
    if (source === this.source) this.lost(error);
  }

  take({ name, id, data }) {
    this.heard = performance.now();
    this.attempts = 0;
    if (id !== null) this.last = id;
    this.tell("heard");
    const value = JSON.parse(data);
    if (name === "closed") return this.lost(value);
    this.problem = null;
    if (this.state !== "live") this.to("live");
    if (name === "message") this.tell("event", value);
    else if (name === "gap") this.tell("gap", value);
    else if (name === "position" || name === "reset") this.tell(name);
    else if (name === "time") { synchronize(value.time); this.tell("time", value); }
    // With its text: a number in it need not be one that JavaScript can hold.
    else if (name === "live") this.tell("live", { event: value, raw: data });
    else if (NOTICES.includes(name)) this.tell(name, value);
  }

  close() {
    const { source } = this;
    this.source = null;
    source?.abort();
  }

  /** Whether it listens while the tab is hidden, too. */
  need(isNeeded) {
    this.isNeeded = isNeeded;
    if (isNeeded && this.state === "asleep") this.connect();
  }

  /** Closes it for good, until `begin` or `connect`. */
  stop() {
    this.close();
    this.to("stopped");
  }

  /** @param error why, as `request` throws it; null when the connection was lost. */
  lost(error) {
    this.close();
    if (error?.status === 401) {
      this.stop();
      return this.tell("login");
    }
    this.code = error?.code ?? null;
    this.problem = error?.code && error.code !== "unreachable" ? error.message : null;
    // Asked again, the same would be refused again.
    if (error?.status === 400) return this.to("refused");
    this.attempts += 1;
    // Who had to make room does not take the place of another at once.
    const delay = error?.code === "tooManyClients" ? 8000 : Math.min(1000 * 2 ** (this.attempts - 1), 8000);
    this.retryAt = Date.now() + delay;
    this.to("waiting");
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

/** The server-sent events of an answer's body, as they come. */
async function* messages(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let [name, id, data] = ["message", null, []];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (data.length) yield { name, id, data: data.join("\n") };
        [name, id, data] = ["message", null, []];
      } else if (line.startsWith("data: ")) data.push(line.slice(6));
      else if (line.startsWith("event: ")) name = line.slice(7);
      else if (line.startsWith("id: ")) id = line.slice(4);
    }
  }
}
