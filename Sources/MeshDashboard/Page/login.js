// Who may see this: the token goes to the server once, which answers with a cookie that no script can read, and with a key that
// only this page can.

import { $, request, text, title } from "/dom.js";
import { keepSession } from "/session.js";

/** Asks for the token until it is right. */
export function logIn() {
  const dialog = $("login");
  if (dialog.open) return waiting;
  dialog.showModal();
  return waiting = new Promise((resolve) => {
    // There is nothing to see without it.
    dialog.oncancel = (event) => event.preventDefault();
    $("login-form").onsubmit = async (event) => {
      event.preventDefault();
      $("login-error").textContent = "";
      try {
        const { session } = await request("/api/session", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ token: $("login-token").value }),
        });
        keepSession(session);
      } catch (error) {
        $("login-error").textContent = error.message;
        $("login-token").select();
        return;
      }
      $("login-token").value = "";
      dialog.close();
      resolve();
    };
  });
}

let waiting = Promise.resolve();

/** Says who is logged in, where users have names or roles. @param session what `/api/session` answers. */
export function showUser({ login, user, role }) {
  const name = typeof user === "string" ? user : "", part = typeof role === "string" ? role : "";
  const words = login && name && part ? `${name} (${part})` : login ? name || part : "";
  $("user").hidden = !words;
  text($("user"), words);
  title($("user"), words && `Logged in as ${words}`);
}

export async function logOut() {
  await request("/api/session", { method: "DELETE" }).catch(() => {});
  keepSession(null);
  location.reload();
}
