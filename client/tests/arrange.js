/**
 * A room client against a scripted server, with time, chance and storage in the test's hands.
 *
 *   const { room, server, clock, heard, tickets } = await arrange(t);
 *   const visit = await enter({ room, server });      joined, with the server's end of the socket
 *   await heard.next("state", ({ state }) => state === "reconnecting");
 *   await synced(visit, room);                        everything the server sent so far has been processed
 */

import { WebSocket } from "ws";
import { RoomClient } from "../room.js";
import { streamSocketClass } from "../stream-socket.js";
import { ManualClock } from "./manual-clock.js";
import { ScriptedServer } from "./scripted-server.js";

const TYPES = ["state", "welcome", "recovered", "joined", "left", "chat", "signal", "member", "room", "ended", "pose", "tick", "latency", "queue", "error"];

export async function arrange(t, options = {}) {
  const server = options.server ?? (await ScriptedServer.start(t));
  const clock = options.clock ?? new ManualClock();
  const wake = new EventTarget();
  const tickets = { asked: 0 };
  const getTicket = async () => ({ ticket: `ticket-${++tickets.asked}`, url: server.url });
  const room = new RoomClient({ roomId: "r1", getTicket, WebSocket: socketClass(clock), clock, random: () => 0.5, wake, storage: null, fetch: null, ...options });
  const heard = new Heard(room);
  t.after(() => room.leave());
  return { room, server, clock, wake, heard, tickets };
}

/** The suites run over both ways to a relay: `npm test` sets VCHAT_WAY for the second time. */
export function socketClass(clock) {
  return process.env.VCHAT_WAY === "fallback" ? streamSocketClass({ fetch: watchedFetch, clock }) : WebSocket;
}

/** Requests on their way: time must not be moved under them, or they look late. */
const underway = new Set();

async function watchedFetch(url, options) {
  if (!url.endsWith("/frames")) return fetch(url, options);
  const done = fetch(url, options).then(async (answer) => new Response(await answer.arrayBuffer(), answer));
  underway.add(done);
  return done.finally(() => underway.delete(done));
}

export async function enter({ room, server }, welcome = {}) {
  const joined = room.join();
  const visit = await server.visit();
  visit.welcome(welcome);
  await joined;
  return visit;
}

let marks = 0;

/** Wait until the client has processed all that was sent to it: a ping's answer comes after everything before it. */
export async function synced(visit) {
  marks += 1;
  visit.send({ type: "ping", mark: marks });
  await visit.frame("pong");
  while (underway.size > 0) await Promise.allSettled([...underway]);
  await new Promise((resolve) => setTimeout(resolve)); // for those who waited for the answers
}

/** What `sessionStorage` is, for one tab. */
export function memoryStorage() {
  const items = new Map();
  return {
    items,
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, String(value)),
    removeItem: (key) => void items.delete(key),
  };
}

class Heard {
  /** @type {{type: string, payload: any}[]} */
  #all = [];
  #waiting = [];
  #taken = new Map();

  constructor(room) {
    for (const type of TYPES) {
      room.on(type, (payload) => {
        this.#all.push({ type, payload });
        for (const look of [...this.#waiting]) look();
      });
    }
  }

  /** Payloads of `type` so far. */
  all(type) {
    return this.#all.filter((event) => event.type === type).map(({ payload }) => payload);
  }

  /** The next payload of `type`, after the one given last, for which `fits` holds; it may have come already. */
  next(type, fits = () => true) {
    return new Promise((resolve) => {
      const look = () => {
        const from = this.#taken.get(type) ?? 0;
        const at = this.#all.findIndex((event, index) => index >= from && event.type === type && fits(event.payload));
        if (at === -1) return;
        this.#taken.set(type, at + 1);
        this.#waiting = this.#waiting.filter((other) => other !== look);
        resolve(this.#all[at].payload);
      };
      this.#waiting.push(look);
      look();
    });
  }

  /** The next time the room is in `state`. */
  state(state) {
    return this.next("state", (payload) => payload.state === state);
  }
}
