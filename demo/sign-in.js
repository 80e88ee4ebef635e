/** Signing in at VRoid Hub: away from the page, and back to it with a code in the address. */

/** What this window set out with; a code that comes without it was brought by a stranger's link. */
const LOGIN = "vchat.login";

/** @typedef {{code: string} | {error: string} | null} Return */

/**
 * The address to go to, which leads back to this page.
 * @param {string} page without query and hash @param {string} api where the functions answer
 * @param {Storage} storage @param {string} [login] @returns {string}
 */
export function wayOut(page, api, storage, login = crypto.randomUUID()) {
  storage.setItem(LOGIN, login);
  const returnTo = `${page}?login=${encodeURIComponent(login)}`;
  return `${api}/auth/vroid/start?returnTo=${encodeURIComponent(returnTo)}`;
}

/**
 * What a sign-in that this window began came back with, once.
 * @param {{search: string, hash: string}} location @param {Storage} storage @returns {Return}
 */
export function wayBack({ search, hash }, storage) {
  const back = new URLSearchParams(hash.slice(1));
  const [code, error] = [back.get("code"), back.get("error")];
  if (!code && !error) return null;
  const begun = storage.getItem(LOGIN);
  storage.removeItem(LOGIN);
  if (!begun || new URLSearchParams(search).get("login") !== begun) return { error: "unauthenticated" };
  return code ? { code } : { error: error ?? "" };
}
