/**
 * The signed-in session: an access token in memory, the refresh token in storage.
 *
 * A refresh token is good once, and using an old one revokes the whole family. So refreshing happens once for all callers, and
 * under a lock shared with the other tabs, in which the token is read again: another tab may just have changed it.
 */

import { ApiError } from "./api-error.js";

const KEY = "vchat.refreshToken";
const LOCK = "vchat.refresh";
/** Renew this long before the end: enough for a slow request that starts now. */
const LEAD_MS = 30_000;

/** @typedef {{request<T>(name: string, work: () => Promise<T>): Promise<T>}} Locks what `navigator.locks` is */

export class SignedIn {
  /** @type {import("./types.js").User | null} */
  user = null;
  #storage;
  #clock;
  #locks;
  #renew;
  #revoke;
  /** @type {{token: string, staleAt: number} | null} */
  #access = null;
  /** Without storage it lives here. @type {string | null} */
  #refreshToken = null;
  /** @type {Promise<string> | null} */
  #renewing = null;

  /**
   * @param {{storage: import("./types.js").KeyValueStore | null, clock: import("./types.js").Clock, locks: Locks | null,
   *   renew: (refreshToken: string) => Promise<import("./types.js").Session>, revoke: (refreshToken: string) => Promise<unknown>}} ports
   */
  constructor({ storage, clock, locks, renew, revoke }) {
    this.#storage = storage;
    this.#clock = clock;
    this.#locks = locks;
    this.#renew = renew;
    this.#revoke = revoke;
  }

  get refreshToken() {
    return this.#storage ? this.#storage.getItem(KEY) : this.#refreshToken;
  }

  /** @param {import("./types.js").Session} session */
  begin({ accessToken, expiresIn, refreshToken, user }) {
    const lifeMs = expiresIn * 1000;
    this.#access = { token: accessToken, staleAt: this.#clock.now() + Math.max(lifeMs - LEAD_MS, lifeMs / 2) };
    this.#refreshToken = refreshToken;
    this.#storage?.setItem(KEY, refreshToken);
    this.user = user;
  }

  end() {
    this.#access = null;
    this.#refreshToken = null;
    this.#storage?.removeItem(KEY);
    this.user = null;
  }

  /** Ends the session here, then at the server. */
  async signOut() {
    const { refreshToken } = this;
    this.end();
    if (refreshToken) await this.#revoke(refreshToken);
  }

  /**
   * @param {string | null} [refused] a token that was just refused: do not give it again
   * @returns {Promise<string>} an access token good for at least half a minute
   * @throws {ApiError} unauthenticated when nobody is signed in; the refusal of the refresh
   */
  async accessToken(refused = null) {
    const access = this.#access;
    if (access && access.token !== refused && this.#clock.now() < access.staleAt) return access.token;
    this.#renewing ??= this.#renewOnce().finally(() => { this.#renewing = null; });
    return this.#renewing;
  }

  /** @returns {Promise<string>} */
  async #renewOnce() {
    const work = async () => {
      const refreshToken = this.refreshToken;
      if (!refreshToken) throw new ApiError({ status: 401, code: "unauthenticated", detail: "Sign in first." });
      try {
        const session = await this.#renew(refreshToken);
        if (this.refreshToken !== refreshToken) { // signed out meanwhile, or in as somebody else: this one is nobody's
          await this.#revoke(session.refreshToken);
          throw new ApiError({ status: 401, code: "unauthenticated", detail: "The sign-in was ended meanwhile." });
        }
        this.begin(session);
        return session.accessToken;
      } catch (error) {
        // Refused for good, and no other sign-in happened meanwhile: the session is over.
        const over = error instanceof ApiError && (error.status === 400 || error.status === 401 || error.status === 403);
        if (over && this.refreshToken === refreshToken) this.end();
        throw error;
      }
    };
    return this.#locks ? this.#locks.request(LOCK, work) : work();
  }
}
