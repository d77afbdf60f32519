// The grid of photos: cards with what was found drawn on, opened, chosen and followed from here.

const NARROW = 500; // pixels: at most two columns below
const GAP = 10; // pixels between cards
const MIDDLING = 1.4; // width by height of most photos
const LEAST_ROW = 80; // pixels
const WALKS = ["ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown", "Home", "End"];
const ICONS = { more: "M4 8h9M4 12h6M4 16h9M17 9v6M14 12h6", less: "M4 8h9M4 12h6M4 16h9M14 12h6" };

class GridView {
  constructor(parent) {
    this.chosen = new Shared();
    this.grid = make("div", { class: "grid", role: "group" });
    this.grid.addEventListener("keydown", (event) => this.walk(event));
    this.root = make("div", { class: "root" }, this.grid);
    this.sizes = new ResizeObserver(() => this.arrange());
    this.sizes.observe(this.root);
    parent.append(this.root);
  }

  destroy() {
    this.sizes.disconnect();
    this.root.remove();
  }

  update({ data, setStateValue }) {
    this.data = data;
    this.setStateValue = setStateValue;
    this.chosen.receive(data);
    this.grid.setAttribute("aria-label", data.label);
    this.grid.style.setProperty("--opacity", data.opacity);
    const shown = data.items.map(({ id, src, heading, note, folded }) => [id, src, heading, note, folded]);
    if (!same(shown, this.shown)) {
      this.shown = shown;
      this.cards = data.items.map((item) => this.card(item));
      const parts = data.items.flatMap(({ heading }, place) => [
        ...(heading ? [make("h3", { class: "heading" }, heading)] : []),
        this.cards[place],
      ]);
      this.grid.replaceChildren(...parts);
    }
    this.dress();
    this.arrange();
  }

  send(act, id) {
    tellPython(this.setStateValue, "act", "", { act, id });
  }

  choose(id, on) {
    const others = this.chosen.value.filter((each) => each !== id);
    this.chosen.send(on ? [...others, id] : others, this.setStateValue);
    this.dress();
  }

  card(item) {
    const image = make("img", { class: "photo", alt: item.name, loading: "lazy", decoding: "async" });
    image.addEventListener("error", () => image.replaceWith(make("span", { class: "gone" }, "No thumbnail")));
    image.src = item.src;
    const open = make("button", { type: "button", class: "open", "aria-label": `Open ${item.name}` });
    open.addEventListener("click", () => this.send("open", item.id));
    const pick = make("input", { type: "checkbox", class: "pick", "aria-label": `Select ${item.name}` });
    pick.addEventListener("change", () => this.choose(item.id, pick.checked));
    const frame = make("div", { class: "frame" }, image, open, pick);
    if (item.folded) {
      const name = `${item.folded} more like ${item.name}`;
      const badge = make("button", { type: "button", class: "badge", "aria-label": name }, `+${item.folded}`);
      badge.addEventListener("click", () => this.send("unfold", item.id));
      frame.append(badge);
    }
    const words = make("span", { class: "words", title: item.path }, make("span", { class: "name" }, item.name));
    if (item.note) words.append(make("span", { class: "score" }, item.note));
    const foot = make("figcaption", { class: "foot" }, words, this.like("more", item), this.like("less", item));
    const figure = make("figure", { class: "card" }, frame, foot);
    figure.style.setProperty("--ratio", item.ratio);
    return figure;
  }

  like(act, item) {
    const label = act === "more" ? "More like" : "Fewer like";
    const sign = shape("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, shape("path", { d: ICONS[act] }));
    const attributes = { type: "button", class: "act", title: `${label} this`, "aria-label": `${label} ${item.name}` };
    const made = make("button", attributes, sign);
    made.addEventListener("click", () => this.send(act, item.id));
    return made;
  }

  /** Overlays and marks, which change while the cards stay. */
  dress() {
    const chosen = new Set(this.chosen.value);
    this.grid.classList.toggle("picking", chosen.size > 0);
    this.data.items.forEach((item, place) => {
      const figure = this.cards[place];
      const drawn = [this.data.overlay, item.boxes, item.mask, item.heat];
      if (!same(drawn, figure.drawn)) {
        figure.drawn = drawn;
        figure.querySelectorAll(".overlay").forEach((old) => old.remove());
        const fresh = this.overlay(item);
        if (fresh) figure.querySelector(".open").before(fresh);
      }
      figure.classList.toggle("chosen", chosen.has(item.id));
      figure.querySelector(".pick").checked = chosen.has(item.id);
    });
  }

  overlay({ boxes, mask, heat }) {
    const source = { Mask: mask, Heat: heat }[this.data.overlay];
    if (source) return make("img", { class: "layer overlay", alt: "", src: source });
    if (this.data.overlay !== "Box" || !boxes.length) return null;
    const rects = boxes.flatMap(([x0, y0, x1, y1], number) => {
      const place = { x: x0, y: y0, width: x1 - x0, height: y1 - y0, rx: 0.012 };
      const colour = this.data.colours[number % this.data.colours.length];
      return [shape("rect", { ...place, class: "rim" }), shape("rect", { ...place, class: "line", stroke: colour })];
    });
    const frame = { class: "overlay", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" };
    return shape("svg", frame, ...rects);
  }

  arrange() {
    if (!this.data) return;
    const width = this.root.clientWidth || 1000;
    const columns = width < NARROW ? Math.min(this.data.columns, 2) : this.data.columns;
    this.grid.style.setProperty("--row", Math.max(LEAST_ROW, (width / columns - GAP) / MIDDLING));
  }

  /** Arrow keys go from picture to picture, up and down to the nearest that lies there. */
  walk(event) {
    const from = event.target.closest(".open");
    if (!from || !WALKS.includes(event.key)) return;
    const to = neighbour([...this.grid.querySelectorAll(".open")], from, event.key);
    if (!to) return;
    event.preventDefault();
    to.focus();
    to.scrollIntoView({ block: "nearest" });
  }
}

function neighbour(buttons, from, key) {
  const at = buttons.indexOf(from);
  if (key === "ArrowRight") return buttons[at + 1];
  if (key === "ArrowLeft") return buttons[at - 1];
  if (key === "Home") return buttons[0];
  if (key === "End") return buttons.at(-1);
  const here = from.getBoundingClientRect();
  const middle = here.left + here.width / 2;
  let best = null;
  let least = Infinity;
  for (const other of buttons) {
    const there = other.getBoundingClientRect();
    const gap = key === "ArrowDown" ? there.top - here.bottom : here.top - there.bottom;
    if (gap < -1) continue;
    const distance = gap * 10 + Math.abs(there.left + there.width / 2 - middle);
    if (distance < least) [best, least] = [other, distance];
  }
  return best;
}

export default function (component) {
  return present(GridView, component);
}
