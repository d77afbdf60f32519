// The grid of photos: cards with what was found drawn on, opened, chosen and followed from here.
// Everything from files and users is set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";
const COLOURS = ["#ffb224", "#36c5f0", "#ec6098", "#78cd5c", "#a884ff", "#ff8052"];
const ICONS = {
  more: ["M4 8h9M4 12h6M4 16h9", "M17 9v6M14 12h6"],
  less: ["M4 8h9M4 12h6M4 16h9", "M14 12h6"],
};

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function icon(paths) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  for (const d of paths) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

function boxes(places) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 1 1");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  places.forEach(([x0, y0, x1, y1], number) => {
    for (const kind of ["rim", "line"]) {
      const rect = document.createElementNS(SVG, "rect");
      rect.setAttribute("class", kind);
      rect.setAttribute("x", x0);
      rect.setAttribute("y", y0);
      rect.setAttribute("width", x1 - x0);
      rect.setAttribute("height", y1 - y0);
      rect.setAttribute("rx", 0.012);
      if (kind === "line") rect.style.stroke = COLOURS[number % COLOURS.length];
      svg.append(rect);
    }
  });
  svg.classList.add("overlay");
  return svg;
}

function layer(source) {
  const image = element("img", "layer overlay");
  image.alt = "";
  image.src = source;
  return image;
}

function overlay(item, kind) {
  if (kind === "Box" && item.boxes.length) return boxes(item.boxes);
  if (kind === "Mask" && item.mask) return layer(item.mask);
  if (kind === "Heat" && item.heat) return layer(item.heat);
  return null;
}

function button(className, label, send) {
  const made = element("button", className);
  made.type = "button";
  made.title = label;
  made.setAttribute("aria-label", label);
  made.onclick = send;
  return made;
}

function card(item, grid) {
  const figure = element("figure", "card");
  figure.style.setProperty("--ratio", item.ratio);
  figure.dataset.id = item.id;
  const frame = element("div", "frame");
  const image = element("img", "photo");
  image.alt = item.name;
  image.loading = "lazy";
  image.decoding = "async";
  image.onerror = () => {
    image.remove();
    frame.prepend(element("span", "gone", "No thumbnail"));
  };
  image.src = item.src;
  const open = button("open", `Open ${item.name}`, () => grid.wire.send("open", item.id));
  const pick = element("input", "pick");
  pick.type = "checkbox";
  pick.setAttribute("aria-label", `Choose ${item.name}`);
  pick.onchange = () => grid.wire.choose(item.id, pick.checked);
  frame.append(image, open, pick);
  if (item.folded) {
    const label = `${item.folded} more like ${item.name}`;
    const badge = button("badge", label, () => grid.wire.send("unfold", item.id));
    badge.textContent = `+${item.folded}`;
    frame.append(badge);
  }
  const foot = element("figcaption", "foot");
  const words = element("span", "words");
  words.title = item.path;
  words.append(element("span", "name", item.name));
  if (item.note) words.append(element("span", "score", item.note));
  const more = button("act", `More like ${item.name}`, () => grid.wire.send("more", item.id));
  more.title = "More like this";
  more.append(icon(ICONS.more));
  const less = button("act", `Less like ${item.name}`, () => grid.wire.send("less", item.id));
  less.title = "Less like this";
  less.append(icon(ICONS.less));
  foot.append(words, more, less);
  figure.append(frame, foot);
  return figure;
}

function dress(figure, item, data, chosen) {
  const frame = figure.firstChild;
  const key = `${data.overlay}|${item.mask ?? ""}|${item.heat ?? ""}|${JSON.stringify(item.boxes)}`;
  if (figure.dressed !== key) {
    figure.dressed = key;
    frame.querySelectorAll(".overlay").forEach((old) => old.remove());
    const drawn = overlay(item, data.overlay);
    if (drawn) frame.querySelector(".open").before(drawn);
  }
  figure.classList.toggle("chosen", chosen.has(item.id));
  frame.querySelector(".pick").checked = chosen.has(item.id);
}

// Arrow keys go from picture to picture, up and down by what lies above and below.
function neighbour(buttons, from, key) {
  const at = buttons.indexOf(from);
  if (key === "ArrowRight") return buttons[at + 1];
  if (key === "ArrowLeft") return buttons[at - 1];
  if (key === "Home") return buttons[0];
  if (key === "End") return buttons[buttons.length - 1];
  const here = from.getBoundingClientRect();
  const middle = here.left + here.width / 2;
  const down = key === "ArrowDown";
  let best = null;
  let least = Infinity;
  for (const other of buttons) {
    const there = other.getBoundingClientRect();
    const gap = down ? there.top - here.bottom : here.top - there.bottom;
    if (gap < -1) continue;
    const distance = gap * 10 + Math.abs(there.left + there.width / 2 - middle);
    if (distance < least) [best, least] = [other, distance];
  }
  return best;
}

function move(grid, event) {
  const keys = ["ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown", "Home", "End"];
  const from = event.target.closest?.(".open");
  if (!from || !keys.includes(event.key)) return;
  const to = neighbour([...grid.querySelectorAll(".open")], from, event.key);
  if (!to) return;
  event.preventDefault();
  to.focus();
  to.scrollIntoView({ block: "nearest" });
}

function arrange(grid) {
  const width = grid.clientWidth || 1000;
  const columns = width < 500 ? Math.min(grid.columns, 2) : grid.columns;
  grid.style.setProperty("--row", Math.max(80, (width / columns - 10) / 1.4));
}

function made(root) {
  const grid = element("div", "grid");
  grid.setAttribute("role", "group");
  grid.onkeydown = (event) => move(grid, event);
  root.append(grid);
  new ResizeObserver(() => arrange(grid)).observe(grid);
  return grid;
}

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".root");
  const grid = root.querySelector(".grid") ?? made(root);
  const chosen = new Set(data.chosen);
  const dressAll = () => {
    grid.classList.toggle("picking", chosen.size > 0);
    grid.querySelectorAll(".card").forEach((figure, place) => dress(figure, data.items[place], data, chosen));
  };
  // Cards live longer than a run of the page: they send through what the last run gave.
  grid.wire = {
    send: setTriggerValue,
    choose: (id, on) => {
      on ? chosen.add(id) : chosen.delete(id);
      dressAll();
      setTriggerValue("chosen", [...chosen]);
    },
  };
  grid.columns = data.columns;
  grid.setAttribute("aria-label", data.label);
  grid.style.setProperty("--opacity", data.opacity);
  const shown = JSON.stringify(data.items.map(({ id, heading, note, folded }) => [id, heading, note, folded]));
  if (grid.shown !== shown) {
    grid.shown = shown;
    const parts = data.items.flatMap((item) =>
      item.heading ? [element("h3", "heading", item.heading), card(item, grid)] : [card(item, grid)],
    );
    grid.replaceChildren(...parts);
  }
  dressAll();
  arrange(grid);
}
