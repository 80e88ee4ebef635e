/** As much of a page as its lists, menus and labels need: elements in a tree, one of which has the keyboard. */

class Element extends EventTarget {
  children = [];
  attributes = new Map();
  dataset = {};
  classes = new Set();
  parent = null;
  hidden = false;
  style = { setProperty: (name, value) => { this.style[name] = value; } };
  classList = {
    toggle: (name, on) => (on ? this.classes.add(name) : this.classes.delete(name)),
    contains: (name) => this.classes.has(name),
    replace: (from, to) => { if (this.classes.delete(from)) this.classes.add(to); },
  };
  #text = "";

  constructor(page) {
    super();
    this.page = page;
  }

  get textContent() { return this.#text + this.children.map(({ textContent }) => textContent).join(""); }
  set textContent(text) {
    this.replaceChildren();
    this.#text = String(text);
  }
  get firstElementChild() { return this.children[0] ?? null; }
  get lastElementChild() { return this.children.at(-1) ?? null; }
  get childElementCount() { return this.children.length; }

  setAttribute(name, value) {
    this.attributes.set(name, value);
    if (name === "class") this.classes = new Set(value.split(" ").filter(Boolean));
    if (name === "hidden") this.hidden = true;
  }
  getAttribute(name) { return this.attributes.get(name) ?? null; }
  append(...nodes) { for (const node of nodes) this.insertBefore(node, null); }
  insertBefore(node, before) {
    if (typeof node === "string") {
      this.#text += node;
      return;
    }
    node.remove();
    node.parent = this;
    this.children.splice(before ? this.children.indexOf(before) : this.children.length, 0, node);
  }
  replaceChildren(...nodes) {
    for (const child of [...this.children]) child.remove();
    this.append(...nodes);
  }
  remove() {
    if (!this.parent) return;
    if (this.contains(this.page.activeElement)) this.page.activeElement = this.page.body; // as a browser does
    this.parent.children = this.parent.children.filter((child) => child !== this);
    this.parent = null;
  }
  contains(other) { return other === this || this.children.some((child) => child.contains(other)); }
  focus() { this.page.activeElement = this; }
  click() { this.dispatchEvent(new Event("click")); }
  all() { return this.children.flatMap((child) => [child, ...child.all()]); }
  querySelector(selector) { return this.querySelectorAll(selector)[0] ?? null; }
  /** By a class or a tag. */
  querySelectorAll(selector) {
    return this.all().filter(({ classes, tag }) => (selector.startsWith(".") ? classes.has(selector.slice(1)) : tag === selector));
  }
  getBoundingClientRect() { return { left: 0, right: 40, top: 10, bottom: 40 }; }

  // A field's and a dialog's.
  value = "";
  select() { this.focus(); }
  showModal() { this.open = true; }
  close() { this.open = false; }

  // A popover's.
  open = false;
  toggle(open) {
    if (open !== this.open) this.dispatchEvent(Object.assign(new Event("beforetoggle"), { newState: open ? "open" : "closed" }));
    this.open = open;
  }
  showPopover() { this.toggle(true); }
  hidePopover() { this.toggle(false); }
}

/** A new page, and the globals that the page's code reads; time stands still there. */
export function fakePage() {
  const page = /** @type {any} */ (new EventTarget());
  const make = (tag) => Object.assign(new Element(page), { tag });
  const byId = new Map();
  Object.assign(page, {
    body: make("body"),
    documentElement: make("html"),
    createElement: make,
    getElementById(id) {
      if (!byId.has(id)) byId.set(id, make("div"));
      return byId.get(id);
    },
    querySelectorAll: () => [],
  });
  page.activeElement = page.body;
  Object.assign(globalThis, { document: page, innerWidth: 1280, innerHeight: 760, setTimeout: () => 0 });
  return page;
}
