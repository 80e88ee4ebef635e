/**
 * Close codes, and what each range tells a client to do.
 *
 * 1000 done; 41xx a new ticket first; 43xx final; 44xx final until the person acts;
 * everything else, codes nobody has thought of yet included, comes back with backoff.
 */

/** @typedef {"done" | "again" | "new-ticket" | "final" | "ask"} Action */

/** Names a program can rely on: the relay's own codes where it has one. @type {Record<number, string>} */
const NAMES = {
  1000: "done",
  1001: "going-away",
  1006: "connection-lost",
  1009: "too-large",
  1011: "internal",
  1012: "relay-restarts",
  1013: "unavailable",
  4001: "migrate",
  4002: "rotate",
  4003: "slow-reader",
  4004: "no-pong",
  4005: "too-fast",
  4006: "no-hello",
  4007: "doze",
  4100: "ticket-expired",
  4101: "ticket-used",
  4102: "session-unknown",
  4300: "bad-token",
  4301: "kicked",
  4302: "banned",
  4303: "room-ended",
  4304: "replaced",
  4305: "protocol-error",
  4306: "too-large",
  4307: "bad-origin",
  4400: "room-full",
  4401: "room-locked",
  4402: "idle",
  4404: "room-not-found",
};

export const LOST = 1006;
export const REPLACED = 4304;
/** We asked for it: the seat is kept while nobody attends to the page. */
export const DOZE = 4007;
/** What this client closes a socket with when it means to come back: 1000, or no code at all in some stacks, would give up the seat. */
export const CLIENT_RETURNS = 3000;

/**
 * @param {number} code
 * @returns {Action}
 */
export function actionFor(code) {
  if (code === 1000) return "done";
  if (code === 1009) return "final"; // the same as 4306: sending it again would end the same way
  if (code >= 4100 && code < 4200) return "new-ticket";
  if (code >= 4300 && code < 4400) return "final";
  if (code >= 4400 && code < 4500) return "ask";
  return "again";
}

/**
 * @param {number} code
 * @param {string} detail what the relay said, if anything
 * @returns {import("./types.js").Reason}
 */
export function reasonFor(code, detail) {
  return { code, name: NAMES[code] ?? `close-${code}`, detail, action: actionFor(code) };
}
