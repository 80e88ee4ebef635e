/** Who is in the room. */

import { byId, h } from "./dom.js";
import { t } from "./i18n.js";
import { actsOn, menuOf } from "./moderation.js";
import { seatColour } from "./seats.js";

/**
 * @param {Iterable<import("../client/types.js").Member>} members @param {string | undefined} ownId
 * @param {(act: {action: string, role?: string, userId: string}) => void} moderate @param {boolean} [atHub] whether the one who looks is signed in at VRoid Hub
 */
export function showPeople(members, ownId, moderate, atHub = false) {
  members = [...members];
  const me = /** @type {import("../client/types.js").Member[]} */ (members).find(({ userId }) => userId === ownId);
  const sorted = [...members].sort((a, b) => Number(b.userId === ownId) - Number(a.userId === ownId) || a.seat - b.seat);
  const relays = new Set(sorted.map(({ relay }) => relay));
  byId("people-count").textContent = String(sorted.length);
  byId("people").replaceChildren(...sorted.map((member) => {
    const notes = [
      member.userId === ownId ? t("people.you") : "",
      member.role === "member" ? "" : t(`role.${member.role}`),
      member.muted ? t("people.muted") : "",
      member.away ? t("people.away") : "",
      member.voice ? t("people.voice") : "",
      ...credit(member.avatar),
      member.userId === ownId ? "" : unseen(member.avatar, atHub),
      relays.size > 1 ? member.relay : "",
    ].filter(Boolean);
    const item = h("li", { class: member.away ? "away" : "", "data-user": member.userId },
      h("span", { class: "dot", "aria-hidden": "true" }), h("span", { class: "person" }, member.name),
      notes.length ? h("small", {}, notes.join(" · ")) : null,
      menuOf(actsOn(me, member), t("moderate", { name: member.name }), "moderate", (act) => moderate({ ...act, userId: member.userId })));
    item.style.setProperty("--seat", seatColour(member.seat));
    return item;
  }));
}

/** Who made the look, and that this must be said, where a model comes with that. @param {import("../client/types.js").Avatar | null} avatar */
function credit(avatar) {
  if (!avatar?.author) return [];
  return [t("people.wears", { title: avatar.title ?? "", author: avatar.author }), avatar.conditions?.credit === "required" ? t("people.credit") : ""];
}

/** Why a stand-in is seen in a model's place. @param {import("../client/types.js").Avatar | null} avatar @param {boolean} atHub */
function unseen(avatar, atHub) {
  if (avatar?.source !== "vroid") return "";
  return avatar.shared === false ? t("people.notShared") : atHub ? "" : t("people.atHub");
}
