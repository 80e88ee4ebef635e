/** What a model's file says about its use; what it does not say is "not stated", never "allowed". */

import { h } from "./dom.js";
import { has, t } from "./i18n.js";

/** VRoid Hub's, in the order of its own pages. */
const CONDITIONS = [
  "avatarUse", "violent", "sexual", "political", "antisocial", "corporate", "profit", "alteration", "redistribution", "alteredRedistribution", "credit",
];

/**
 * @typedef {{field: string, value: string, stated: boolean}} Line
 *   `value` is the name of a string of i18n.js if it begins with "licence.", else text from the file
 */

/** @param {any} meta of a VRM 0 or 1 as three-vrm gives it @returns {Line[]} */
export function licenceLines(meta) {
  return meta?.metaVersion === "0" ? version0(meta) : version1(meta ?? {});
}

/** What VRoid Hub says of a model. @param {Record<string, string>} conditions as the API gives them @returns {Line[]} */
export function conditionLines(conditions) {
  /** @type {Record<string, Record<string, string>>} */
  const own = { avatarUse: { allowed: "licence.everyone", forbidden: "licence.notEveryone" } };
  const words = { allowed: "licence.allowed", forbidden: "licence.notAllowed", required: "licence.required", unnecessary: "licence.unnecessary" };
  return CONDITIONS.map((field) => {
    const value = own[field]?.[conditions[field]] ?? /** @type {Record<string, string>} */ (words)[conditions[field]];
    return { field, value: value ?? "licence.notStated", stated: value !== undefined };
  });
}

/** @param {HTMLElement} list a dl @param {Line[]} lines */
export function showLines(list, lines) {
  list.replaceChildren(...lines.flatMap(({ field, value, stated }) => [
    h("dt", {}, t(`licence.${field}`)),
    h("dd", { class: stated ? "" : "unsaid" }, value.startsWith("licence.") && has(value) ? t(value) : value),
  ]));
}

/** @param {any} meta @returns {Line[]} */
function version1(meta) {
  return [
    text("name", meta.name),
    text("authors", meta.authors?.join(", ")),
    choice("avatarUse", meta.avatarPermission),
    permission("violent", meta.allowExcessivelyViolentUsage),
    permission("sexual", meta.allowExcessivelySexualUsage),
    choice("commercial", meta.commercialUsage),
    choice("credit", meta.creditNotation),
    choice("modification", meta.modification),
    text("licenceUrl", meta.licenseUrl),
  ];
}

/** @param {any} meta @returns {Line[]} */
function version0(meta) {
  /** @param {unknown} word */
  const allowed = (word) => ({ Allow: true, Disallow: false })[String(word)];
  return [
    text("name", meta.title),
    text("authors", meta.author),
    choice("avatarUse", meta.allowedUserName),
    permission("violent", allowed(meta.violentUssageName)),
    permission("sexual", allowed(meta.sexualUssageName)),
    permission("commercial", allowed(meta.commercialUssageName)),
    text("credit", undefined), // VRM 0 has no such field
    choice("modification", meta.licenseName),
    text("licenceUrl", meta.otherLicenseUrl),
  ];
}

/** The words that i18n.js knows. */
const KNOWN = new Set([
  "onlyAuthor", "onlySeparatelyLicensedPerson", "everyone", "personalNonProfit", "personalProfit", "corporation", "required",
  "unnecessary", "prohibited", "allowModification", "allowModificationRedistribution", "OnlyAuthor", "ExplicitlyLicensedPerson", "Everyone",
  "Redistribution_Prohibited",
]);

/** @param {string} field @param {unknown} value @returns {Line} */
function text(field, value) {
  const stated = typeof value === "string" && value.trim() !== "";
  return { field, value: stated ? String(value).trim().slice(0, 300) : "licence.notStated", stated };
}

/** @param {string} field @param {unknown} value @returns {Line} */
function choice(field, value) {
  return typeof value === "string" && KNOWN.has(value) ? { field, value: `licence.${value}`, stated: true } : text(field, value);
}

/** @param {string} field @param {unknown} value @returns {Line} */
function permission(field, value) {
  if (typeof value !== "boolean") return text(field, undefined);
  return { field, value: value ? "licence.allowed" : "licence.notAllowed", stated: true };
}
