/** One's own .vrm: dropped or chosen, worn on this screen only, with what its licence says. */

import { byId } from "./dom.js";
import { onLanguage, t } from "./i18n.js";
import { licenceLines, showLines } from "./licence.js";
import { problemText } from "./problems.js";
import { toast } from "./toasts.js";
import { FileRefused, loadOwn } from "./vrm-files.js";

/** @param {{wear: (vrm: import("@pixiv/three-vrm").VRM) => void, undress: () => void}} wardrobe @returns {() => void} stops it */
export function offerOwnAvatar({ wear, undress }) {
  const off = new AbortController();
  const { signal } = off;
  const dialog = /** @type {HTMLDialogElement} */ (byId("own"));
  const input = /** @type {HTMLInputElement} */ (byId("own-file"));
  const curtain = byId("drop");
  /** @type {unknown} */
  let meta = null;

  /** @param {File | undefined | null} file */
  const take = async (file) => {
    if (!file) return;
    try {
      const vrm = await loadOwn(file);
      if (signal.aborted) return;
      wear(vrm);
      meta = vrm.meta;
      showLines(byId("licence"), licenceLines(meta));
      dialog.showModal();
    } catch (error) {
      toast(error instanceof FileRefused ? t(`own.${error.code}`) : problemText(error), "bad");
    }
  };

  byId("own-button").addEventListener("click", () => {
    if (meta) dialog.showModal();
    else input.click();
  }, { signal });
  input.addEventListener("change", () => {
    void take(input.files?.[0]);
    input.value = "";
  }, { signal });
  byId("own-back").addEventListener("click", () => {
    meta = null;
    dialog.close();
    undress();
  }, { signal });
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    curtain.hidden = false;
  }, { signal });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) curtain.hidden = true; }, { signal });
  addEventListener("drop", (event) => {
    curtain.hidden = true;
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    void take(event.dataTransfer.files[0]);
  }, { signal });
  const stopLanguage = onLanguage(() => { if (meta) showLines(byId("licence"), licenceLines(meta)); });
  return () => {
    off.abort();
    stopLanguage();
    curtain.hidden = true;
    dialog.close();
  };
}
