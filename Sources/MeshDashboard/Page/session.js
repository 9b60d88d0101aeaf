// The half of the session that belongs to this page's origin: a cookie is sent to every port of the host name, what is stored
// here is read by this page alone. All tabs have it in common.

const NAME = "session";

/** What every request brings along. */
export function sessionHeaders() {
  const key = localStorage.getItem(NAME);
  return key ? { "mesh-events-session": key } : {};
}

/** @param key as the answer to a login says it; null when there is none any more. */
export function keepSession(key) {
  if (key) localStorage.setItem(NAME, key); else localStorage.removeItem(NAME);
}
