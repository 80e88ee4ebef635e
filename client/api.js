/** V-Chat's HTTP side: signing in, rooms, tickets. */

import { ApiError, problemOf } from "./api-error.js";
import { systemClock } from "./clock.js";
import { within } from "./deadline.js";
import { SignedIn } from "./session.js";

const TIMEOUT_MS = 15_000;

/**
 * @typedef {import("./types.js").User} User
 * @typedef {import("./types.js").Room} Room
 * @typedef {import("./types.js").Member} Member
 * @typedef {{name: string, description?: string, visibility: "public" | "private", capacity?: number, uses?: string[]}} NewRoom
 *   `uses`: what happens in it, of `violent`, `sexual`, `political`, `antisocial`, `corporate`, `profit`; avatars whose authors do not allow it stay out;
 *   who is inside when it is changed is held to it with their next ticket, within an hour
 * @typedef {{body?: unknown, query?: Record<string, string | number | undefined>, anonymous?: boolean}} RequestOptions
 *   `anonymous`: send no token even if there is one
 */

export class VChatApi {
  #base;
  #fetch;
  #clock;
  #session;

  /**
   * @param {string} base where the functions answer, such as `http://localhost:8080/api`
   * @param {{storage?: import("./types.js").KeyValueStore | null, fetch?: typeof globalThis.fetch, clock?: import("./types.js").Clock,
   *   locks?: import("./session.js").Locks | null}} [options] `storage` (`localStorage`) keeps the sign-in over reloads
   */
  constructor(base, { storage = null, fetch = globalThis.fetch, clock = systemClock, locks = globalThis.navigator?.locks ?? null } = {}) {
    this.#base = base.replace(/\/+$/, "");
    this.#fetch = fetch;
    this.#clock = clock;
    this.#session = new SignedIn({
      storage, clock, locks: /** @type {any} */ (locks),
      renew: (refreshToken) => this.request("POST", "/auth/refresh", { body: { refreshToken }, anonymous: true }),
      revoke: (refreshToken) => this.request("POST", "/auth/logout", { body: { refreshToken }, anonymous: true }),
    });
  }

  get signedIn() { return this.#session.refreshToken !== null; }
  /** @returns {User | null} */
  get user() { return this.#session.user; }

  /** @param {string} name @returns {Promise<User>} */
  guest(name) { return this.#signIn("/auth/guest", { name }); }

  /** @param {"firebase" | "nextauth" | "vroid"} provider @param {string} token @returns {Promise<User>} */
  exchange(provider, token) { return this.#signIn("/auth/exchange", { provider, token }); }

  /** Ends the session; if the server cannot be told, it still ends here, and the error says so. */
  logout() { return this.#session.signOut(); }

  /** @returns {Promise<User>} */
  async me() { return this.#keepUser(await this.request("GET", "/me")); }

  /** @param {{name?: string}} changes @returns {Promise<User>} */
  async updateMe(changes) { return this.#keepUser(await this.request("PATCH", "/me", { body: changes })); }

  /** Put on another look; rooms see it with the next ticket. @param {import("./types.js").AvatarChoice} choice @returns {Promise<User>} */
  async wear(choice) { return this.#keepUser(await this.request("PUT", "/me/avatar", { body: choice })); }

  /** VRoid Hub's models, for who is signed in there. */
  avatars = Object.freeze({
    /** @param {{source?: "mine" | "hearts" | "picks" | (string & {}), limit?: number, cursor?: string}} [query] @returns {Promise<{items: import("./types.js").HubModel[], nextCursor: string | null}>} */
    list: (query = {}) => this.request("GET", "/avatars", { query }),
    /** Leave to load one, for this person only, soon: keep neither address nor file. @param {string} id @returns {Promise<{url: string, expiresAt: string}>} */
    download: (id) => this.request("POST", `/avatars/${encodeURIComponent(id)}/download`),
  });

  rooms = Object.freeze({
    /** @param {{q?: string, limit?: number, cursor?: string}} [query] @returns {Promise<{items: Room[], nextCursor: string | null}>} */
    list: (query = {}) => this.request("GET", "/rooms", { query }),
    /** @param {string} id @returns {Promise<Room>} */
    get: (id) => this.request("GET", roomPath(id)),
    /** @param {NewRoom} room @returns {Promise<Room>} */
    create: (room) => this.request("POST", "/rooms", { body: room }),
    /** @param {string} id @param {Partial<NewRoom>} changes @returns {Promise<Room>} */
    update: (id, changes) => this.request("PATCH", roomPath(id), { body: changes }),
    /** End the room for everyone in it. @param {string} id @returns {Promise<null>} */
    end: (id) => this.request("DELETE", roomPath(id)),
    /** Who is in it now. @param {string} id @returns {Promise<{items: Member[]}>} */
    members: (id) => this.request("GET", `${roomPath(id)}/members`),
  });

  /**
   * What `RoomClient` wants from `getTicket`.
   * @param {string} roomId
   * @param {{invite?: string, avoid?: string[]}} [options] `invite` for a private or locked room; `avoid` as `getTicket` is told it
   * @returns {Promise<import("./types.js").Ticket>}
   */
  ticket(roomId, { invite, avoid } = {}) {
    return this.request("POST", `${roomPath(roomId)}/tickets`, { body: { invite, avoid } });
  }

  /** The way into a room's voice call, for who has a seat in it. @param {string} roomId @returns {Promise<{url: string, token: string, expiresIn: number}>} */
  voiceToken(roomId) {
    return this.request("POST", `${roomPath(roomId)}/voice-tokens`);
  }

  /**
   * Anything of the HTTP contract.
   * @param {string} method
   * @param {string} path from the base, beginning with `/`
   * @param {RequestOptions} [options]
   * @returns {Promise<any>} the answer's JSON, `null` if it has no body
   * @throws {ApiError}
   */
  async request(method, path, { body, query, anonymous = false } = {}) {
    const url = this.#base + path + queryString(query);
    if (anonymous || !this.signedIn) return this.#ask(method, url, body, null);
    const token = await this.#session.accessToken();
    try {
      return await this.#ask(method, url, body, token);
    } catch (error) {
      // A token may be revoked early, or our clock be wrong: once more with a new one.
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      return this.#ask(method, url, body, await this.#session.accessToken(token));
    }
  }

  /**
   * @param {string} method @param {string} url @param {unknown} body @param {string | null} token
   * @returns {Promise<any>}
   */
  async #ask(method, url, body, token) {
    const abort = new AbortController();
    /** @type {Record<string, string>} */
    const headers = { accept: "application/json" };
    if (body !== undefined) headers["content-type"] = "application/json";
    if (token !== null) headers["authorization"] = `Bearer ${token}`;
    const asking = async () => {
      const response = await this.#fetch.call(globalThis, url, {
        method, headers, signal: abort.signal, credentials: "omit", body: body === undefined ? null : JSON.stringify(body),
      });
      if (!response.ok) throw await problemOf(response, this.#clock.now());
      const text = await response.text();
      return text === "" ? null : JSON.parse(text);
    };
    try {
      return await within(asking(), TIMEOUT_MS, this.#clock, () =>
        new ApiError({ status: 0, code: "timeout", detail: `No answer within ${TIMEOUT_MS / 1000} s.` }));
    } catch (error) {
      if (error instanceof ApiError) throw error;
      if (error instanceof SyntaxError) throw new ApiError({ status: 0, code: "bad-answer", detail: "The answer was not JSON.", cause: error });
      throw new ApiError({ status: 0, code: "network", detail: "The server could not be reached.", cause: error });
    } finally {
      abort.abort();
    }
  }

  /** @param {string} path @param {object} body */
  async #signIn(path, body) {
    /** @type {import("./types.js").Session} */
    const session = await this.request("POST", path, { body, anonymous: true });
    this.#session.begin(session);
    return session.user;
  }

  /** @param {User} user */
  #keepUser(user) {
    this.#session.user = user;
    return user;
  }
}

/** @param {string} id */
function roomPath(id) {
  return `/rooms/${encodeURIComponent(id)}`;
}

/** @param {Record<string, string | number | undefined>} [query] */
function queryString(query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined).map(([name, value]) => [name, String(value)]);
  return given.length > 0 ? `?${new URLSearchParams(given)}` : "";
}
