/** How much is drawn, as chosen, and what draws it. */

/** @typedef {"auto" | "full" | "light" | "none"} Drawing `auto`: as much as the machine can; `none`: no stage at all */
/** @typedef {{stage: import("./stage.js").Stage, Lineup: typeof import("./lineup.js").Lineup, Crowd: typeof import("./crowd.js").Crowd}} Drawn */

const WAYS = ["auto", "full", "light", "none"];
const KEPT = "vchat.drawing";

/** What the address asks for (`?drawing=…`), or else what was chosen before. */
export const drawing = drawingOf(location.search, localStorage);

/** The stage and who stands on it. They need three.js, most of what a page loads: who sees nothing loads none of it. */
export const whatDraws = drawing === "none" ? null : load();

async function load() {
  const readsModels = import("./vrm.js"); // the others come to it last
  const [{ Stage }, { Lineup }, { Crowd }] = await Promise.all([import("./stage.js"), import("./lineup.js"), import("./crowd.js"), readsModels]);
  return { Stage, Lineup, Crowd };
}

/** @param {string} query @param {Storage} storage @returns {Drawing} */
function drawingOf(query, storage) {
  const asked = new URLSearchParams(query).get("drawing") ?? storage.getItem(KEPT) ?? "";
  return WAYS.includes(asked) ? /** @type {Drawing} */ (asked) : "auto";
}

/** Let it be chosen; the page begins anew then. @param {HTMLElement} select @param {Storage} storage */
export function offerDrawing(select, storage) {
  const field = /** @type {HTMLSelectElement} */ (select);
  field.value = drawing;
  field.addEventListener("change", () => {
    storage.setItem(KEPT, field.value);
    const address = new URL(location.href);
    address.searchParams.delete("drawing");
    history.replaceState(null, "", address);
    location.reload();
  });
}
