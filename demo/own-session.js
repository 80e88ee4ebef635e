/** A window's session is its own: one that the browser copied from another window begins as somebody else. */

const WINDOW = "vchat.window";
/** A reload waits this long, at most, until the page before it has let go: better a slow copy than a reload taken for one. */
const PATIENCE_MS = 2000;

/**
 * Make sure that this window alone has what is in its session's storage, or empty it.
 *
 * Duplicating a tab copies the storage, and in it a refresh token that is good once: whichever window used it second would end the
 * sign-in of both. So each window holds a lock for as long as it lives, and one that finds its own held is a copy.
 * @param {Storage} storage @param {LockManager | undefined} locks @param {number} [patienceMs]
 */
export async function claimSession(storage, locks, patienceMs = PATIENCE_MS) {
  if (!locks) return;
  const known = storage.getItem(WINDOW);
  if (known && await hold(locks, known, patienceMs)) return;
  if (known) storage.clear();
  const own = crypto.randomUUID();
  storage.setItem(WINDOW, own);
  await hold(locks, own, patienceMs);
}

/**
 * Take a lock until the page is gone.
 * @param {LockManager} locks @param {string} name @param {number} patienceMs @returns {Promise<boolean>} whether it could be had
 */
function hold(locks, name, patienceMs) {
  return new Promise((resolve) => {
    const held = () => {
      resolve(true);
      return new Promise(() => {});
    };
    locks.request(`${WINDOW}.${name}`, { signal: AbortSignal.timeout(patienceMs) }, held).catch(() => resolve(false));
  });
}
