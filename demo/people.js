/** Who is in the room. */

import { byId, h } from "./dom.js";
import { t } from "./i18n.js";
import { Menu } from "./menu.js";
import { actsOn, entriesOf } from "./moderation.js";
import { seatColour } from "./seats.js";

/** @typedef {import("../client/types.js").Member} Member */

export class People {
  #list = byId("people");
  /** By account: a row outlives changes of its person, and with it the keyboard's place and an open menu. @type {Map<string, Row>} */
  #rows = new Map();
  #moderate;

  /** @param {(act: import("./moderation.js").Act & {userId: string}) => void} moderate */
  constructor(moderate) {
    this.#moderate = moderate;
    this.#list.replaceChildren();
  }

  /** @param {Iterable<Member>} members @param {string | undefined} ownId @param {boolean} [atHub] whether the one who looks is signed in at VRoid Hub */
  show(members, ownId, atHub = false) {
    const had = this.#list.contains(document.activeElement);
    const sorted = [...members].sort((a, b) => Number(b.userId === ownId) - Number(a.userId === ownId) || a.seat - b.seat);
    const me = sorted.find(({ userId }) => userId === ownId);
    const relays = new Set(sorted.map(({ relay }) => relay));
    byId("people-count").textContent = String(sorted.length);
    for (const [userId, { item }] of this.#rows) {
      if (sorted.some((member) => member.userId === userId)) continue;
      item.remove();
      this.#rows.delete(userId);
    }
    sorted.forEach((member, i) => {
      const row = this.#rows.get(member.userId) ?? new Row(member.userId);
      this.#rows.set(member.userId, row);
      const notes = [
        member.userId === ownId ? t("people.you") : "",
        member.role === "member" ? "" : t(`role.${member.role}`),
        member.muted ? t("people.muted") : "",
        member.away ? t("people.away") : "",
        member.voice ? t("people.voice") : "",
        ...credit(member.avatar),
        member.userId === ownId ? "" : unseen(member.avatar, atHub),
        relays.size > 1 ? member.relay : "",
      ];
      row.show(member, notes.filter(Boolean).join(" · "), entriesOf(actsOn(me, member), (act) => this.#moderate({ ...act, userId: member.userId }), member.name));
      // Only who is out of place is moved: an element that is put in again loses the keyboard.
      if (this.#list.children[i] !== row.item) this.#list.insertBefore(row.item, this.#list.children[i] ?? null);
    });
    if (had && !this.#list.contains(document.activeElement)) byId("people-title").focus();
  }
}

class Row {
  #person = h("span", { class: "person" });
  #notes = h("small");
  #menu = new Menu("moderate");
  item;

  /** @param {string} userId */
  constructor(userId) {
    this.item = h("li", { "data-user": userId }, h("span", { class: "dot", "aria-hidden": "true" }), this.#person, this.#notes, this.#menu.root);
  }

  /** @param {Member} member @param {string} notes @param {import("./menu.js").Entry[]} entries */
  show({ name, seat, away }, notes, entries) {
    this.#person.textContent = name;
    this.#notes.textContent = notes;
    this.item.classList.toggle("away", away);
    this.item.style.setProperty("--seat", seatColour(seat));
    this.#menu.offer(t("moderate", { name }), entries);
  }
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
