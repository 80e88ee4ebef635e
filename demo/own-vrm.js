/** One's own .vrm: dropped or chosen, in the lobby or in a room, worn on this screen only, with what its licence says. */

import { byId } from "./dom.js";
import { onLanguage, t } from "./i18n.js";
import { licenceLines, showLines } from "./licence.js";
import { problemText } from "./problems.js";
import { toast } from "./toasts.js";
import { FileRefused } from "./vrm-files.js";

/**
 * For as long as the page lives. Files that are dropped are taken wherever they fall: a browser would go away to show them.
 * @param {import("./wardrobe.js").Wardrobe} wardrobe @param {{canShow: boolean, onChange: () => void}} how
 */
export function offerOwnAvatar(wardrobe, { canShow, onChange }) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("own"));
  const input = /** @type {HTMLInputElement} */ (byId("own-file"));
  const curtain = byId("drop");
  /** @type {unknown} */
  let meta = null;

  /** @param {File | undefined} file */
  const take = async (file) => {
    if (!file) return;
    try {
      if (!canShow) throw new FileRefused("unseen");
      meta = await wardrobe.putOn(file);
    } catch (error) {
      toast(error instanceof FileRefused ? t(`own.${error.code}`) : problemText(error), "bad");
      return;
    }
    onChange();
    showLines(byId("licence"), licenceLines(meta));
    if (!dialog.open) dialog.showModal();
  };

  for (const id of ["own-button", "own-worn"]) {
    byId(id).addEventListener("click", () => {
      if (wardrobe.hasFile) dialog.showModal();
      else input.click();
    });
  }
  input.addEventListener("change", () => {
    void take(input.files?.[0]);
    input.value = "";
  });
  byId("own-back").addEventListener("click", () => {
    wardrobe.takeOff();
    dialog.close();
    onChange();
  });
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    curtain.hidden = !canShow;
  });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) curtain.hidden = true; });
  addEventListener("drop", (event) => {
    curtain.hidden = true;
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    void take(event.dataTransfer.files[0]);
  });
  onLanguage(() => { if (wardrobe.hasFile) showLines(byId("licence"), licenceLines(meta)); });
}
