/** Asking the page for a ticket, and what it means when there is none. */

import { within } from "./deadline.js";
import { RoomError } from "./room-error.js";

const TICKET_TIMEOUT_MS = 15_000;
const CONFLICT = 409;
const GONE = 410;

/**
 * A ticket fresh from `getTicket`.
 * @param {import("./types.js").GetTicket} getTicket
 * @param {import("./types.js").Clock} clock
 * @param {string[]} [avoid] urls that could not be reached
 * @returns {Promise<import("./types.js").Ticket>}
 * @throws {unknown} whatever `getTicket` throws, or a RoomError when it takes too long or gives no ticket
 */
export async function freshTicket(getTicket, clock, avoid = []) {
  const asked = Promise.resolve().then(() => getTicket({ avoid }));
  const answer = await within(asked, TICKET_TIMEOUT_MS, clock, () => new RoomError("timeout", `No ticket within ${TICKET_TIMEOUT_MS} ms.`));
  if (typeof answer?.ticket !== "string" || typeof answer.url !== "string") {
    throw new RoomError("bad-ticket", "getTicket must resolve to {ticket, url}.");
  }
  return answer;
}

/**
 * What a failed `getTicket` means: a refusal of the HTTP side waits for the person (410: for nobody), anything else is tried again.
 * @param {any} error an `ApiError`, or whatever the page's own `getTicket` threw
 * @param {boolean} seated a seat is held, so a full room (409) is full of us too
 * @returns {{reason: import("./types.js").Reason, retryMs?: number}}
 */
export function ticketRefusal(error, seated) {
  const status = Number.isInteger(error?.status) ? error.status : 0;
  const refused = status >= 400 && status < 500 && status !== 408 && status !== 429 && !(seated && status === CONFLICT);
  return {
    reason: {
      code: status,
      name: typeof error?.code === "string" ? error.code : "no-ticket",
      detail: error?.detail ?? error?.message ?? String(error),
      action: !refused ? "again" : status === GONE ? "final" : "ask",
    },
    retryMs: typeof error?.retryAfterMs === "number" ? error.retryAfterMs : undefined,
  };
}
