/** What went wrong, in words that say what to do next; codes are the SDK's. */

import { has, t } from "./i18n.js";

/** @param {any} error an ApiError or RoomError, or a fault of this page @returns {string} */
export function problemText(error) {
  const code = error?.code ?? "other";
  const values = { code, detail: error?.errors?.map((/** @type {{detail: string}} */ e) => e.detail).join(" ") || error?.detail || error?.message, requestId: error?.requestId };
  if (has(`problem.${code}`)) return t(`problem.${code}`, values);
  if (has(`refused.${code}`)) return t(`refused.${code}`, values);
  return t("problem.other", values);
}

/** @param {{name: string, detail: string}} reason why a room is closed to this page @returns {string} */
export function refusalText(reason) {
  if (has(`refused.${reason.name}`)) return t(`refused.${reason.name}`, { detail: reason.detail });
  if (has(`problem.${reason.name}`)) return t(`problem.${reason.name}`, { detail: reason.detail });
  return t("refused.other", { code: reason.name, detail: reason.detail });
}
