/** Who is in the room. */

import { byId, h } from "./dom.js";
import { t } from "./i18n.js";
import { seatColour } from "./seats.js";

/** @param {Iterable<import("../client/types.js").Member>} members @param {string | undefined} ownId */
export function showPeople(members, ownId) {
  const sorted = [...members].sort((a, b) => Number(b.userId === ownId) - Number(a.userId === ownId) || a.seat - b.seat);
  byId("people-count").textContent = String(sorted.length);
  byId("people").replaceChildren(...sorted.map((member) => {
    const notes = [
      member.userId === ownId ? t("people.you") : "",
      member.role === "member" ? "" : t(`role.${member.role}`),
      member.muted ? t("people.muted") : "",
      member.away ? t("people.away") : "",
    ].filter(Boolean);
    const item = h("li", { class: member.away ? "away" : "" },
      h("span", { class: "dot", "aria-hidden": "true" }), h("span", { class: "person" }, member.name),
      notes.length ? h("small", {}, notes.join(" · ")) : null);
    item.style.setProperty("--seat", seatColour(member.seat));
    return item;
  }));
}
