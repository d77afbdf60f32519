// One large photo: what was found in it, and the marks that the user draws on it.

const LEAST = 0.01; // a drag shorter than this is a click
const STEP = 0.01; // of the crosshair; ten times as far with Shift
const GAP = 4; // pixels between a box and its label
const PIN = 12; // pixels from a point to what lies beside it
// From below: what is wanted has the page's colour, which needs a casing to be seen on any picture.
const LINES = { found: ["halo", "found"], wanted: ["halo wide", "case", "wanted"], unwanted: ["halo", "unwanted"] };
const HINTS = {
  look: "",
  box: "Drag a box around the thing. With keys: arrows, and Enter at two corners.",
  point: "Click the thing. With keys: arrows, and Enter.",
  not: "Click what is not meant, or drag a box around it. With keys: arrows, and Enter.",
};
const USES_ARROWS =
  "input, textarea, select, video, audio, [contenteditable], [role=slider], [role=radio], [role=tab], " +
  "[role=option], [role=listbox], [role=combobox], [role=menuitem], [role=treeitem], [role=grid]";

class PhotoView {
  constructor(parent) {
    this.host = parent.host ?? parent;
    this.shared = new Shared();
    this.crosshair = null; // where the keys point, once they do
    this.corner = null; // the first corner of a box that the keys draw
    this.breakOff = null; // ends the drag that goes on
    this.pointed = false; // the pad was last used by a pointer: arrows are not for the crosshair
    this.build(parent);
    this.listen();
  }

  build(parent) {
    this.picture = make("img", { class: "picture", draggable: "false", decoding: "async" });
    this.layer = make("img", { alt: "", draggable: "false" });
    this.found = shape("g", {});
    this.drawn = shape("g", {});
    this.draft = shape("g", {});
    const frame = { class: "drawing", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" };
    this.drawing = shape("svg", frame, this.found, this.drawn, this.draft);
    this.missing = make("div", { class: "missing" }, make("p"));
    this.pad = make("div", { class: "pad", role: "application", tabindex: "0", "aria-describedby": "hint" });
    this.tags = make("div", { role: "group", "aria-label": "Found in this photo" });
    this.marks = make("div", { role: "group", "aria-label": "Your marks" });
    const parts = [this.picture, this.missing, this.layer, this.drawing, this.tags, this.pad, this.marks];
    this.stage = make("div", { class: "stage" }, ...parts);
    this.frame = make("div", { class: "frame" }, this.stage);
    this.zoom = make("button", { type: "button", class: "zoom" });
    this.view = make("div", { class: "view" }, this.frame, this.zoom);
    this.previous = button("step previous", "Previous photo", "M8 1L3 6L8 11", () => this.go("previous"));
    this.next = button("step next", "Next photo", "M4 1L9 6L4 11", () => this.go("next"));
    this.row = make("div", { class: "row" }, this.previous, this.view, this.next);
    this.hint = make("p", { class: "hint", id: "hint", role: "status" });
    this.root = make("div", { class: "root" }, this.row, this.hint);
    parent.append(this.root);
  }

  listen() {
    this.control = new AbortController();
    const { signal } = this.control;
    this.picture.addEventListener("load", () => this.showPicture(true));
    this.picture.addEventListener("error", () => this.showPicture(false));
    this.zoom.addEventListener("click", () => this.enlarge(0.5, 0.5));
    this.stage.addEventListener("dblclick", (event) => {
      if (this.data.tool === "look") this.enlarge(...fractions(event, this.stage));
    });
    this.pad.addEventListener("pointerdown", (event) => this.press(event));
    this.pad.addEventListener("keydown", (event) => this.point(event));
    this.pad.addEventListener("blur", () => this.leave());
    document.addEventListener("keydown", (event) => this.walk(event), { signal });
    onEscape(() => this.cancel() && (this.tell(HINTS[this.data.tool]), true), signal);
    this.sizes = new ResizeObserver(() => this.arrange());
    this.sizes.observe(this.stage);
  }

  destroy() {
    this.control.abort();
    this.sizes.disconnect();
    this.root.remove();
  }

  update({ data, setStateValue }) {
    const before = this.data ?? {};
    this.data = data;
    this.setStateValue = setStateValue;
    if (data.subject !== before.subject) this.load();
    this.picture.alt = data.alt;
    this.pad.setAttribute("aria-label", `Point at a place in ${data.alt}`);
    this.view.style.setProperty("--shape", data.width / data.height);
    this.layer.hidden = !data.layer;
    if (data.layer && this.layer.getAttribute("src") !== data.layer) this.layer.src = data.layer;
    this.layer.style.opacity = data.opacity;
    if (data.tool !== before.tool) this.take(data.tool);
    this.row.classList.toggle("alone", !data.previous && !data.next);
    for (const step of ["previous", "next"]) {
      this[step].hidden = !data.previous && !data.next;
      // Not disabled, which would take the focus away from who goes on with Enter.
      this[step].setAttribute("aria-disabled", !data[step]);
    }
    if (!same(data.boxes, before.boxes)) this.showFound();
    if (this.shared.receive(data)) this.showMarks();
  }

  load() {
    this.cancel();
    this.frame.classList.remove("large");
    this.picture.classList.remove("there");
    this.stage.classList.remove("broken");
    this.missing.hidden = true;
    this.measure();
    if (this.data.src) this.picture.src = this.data.src;
    else this.showPicture(false);
  }

  showPicture(there) {
    this.stage.classList.toggle("broken", !there);
    this.picture.classList.toggle("there", there);
    this.missing.hidden = there;
    this.missing.firstChild.textContent = there ? "" : `This picture cannot be shown: ${this.data.alt}`;
    this.measure();
  }

  // Zoom

  measure() {
    const larger = this.picture.naturalWidth > this.view.clientWidth * 1.05;
    const large = this.frame.classList.contains("large");
    this.zoom.hidden = !large && (!larger || !this.picture.classList.contains("there"));
    this.zoom.textContent = large ? "Fit" : "1:1";
    this.zoom.setAttribute("aria-label", large ? "Fit the photo into the page" : "Show the photo at its actual size");
    for (const [name, value] of Object.entries({ tabindex: "0", role: "region", "aria-label": "Photo at its actual size" }))
      if (large) this.frame.setAttribute(name, value);
      else this.frame.removeAttribute(name);
  }

  enlarge(x, y) {
    if (this.zoom.hidden) return;
    this.stage.style.setProperty("--pixels", `${this.picture.naturalWidth}px`);
    const large = this.frame.classList.toggle("large");
    const { clientWidth, clientHeight } = this.frame;
    if (large) this.frame.scrollTo(x * this.stage.clientWidth - clientWidth / 2, y * this.stage.clientHeight - clientHeight / 2);
    this.measure();
  }

  // What is seen over the picture

  showFound() {
    this.found.replaceChildren(...this.data.boxes.flatMap((box) => outlined(box, "found")));
    const labels = this.data.boxes.map((box) => make("span", { class: "label" }, box[4]));
    labels.forEach((label) => (label.hidden = !label.textContent));
    this.tags.replaceChildren(...labels);
    this.tags.hidden = !labels.length;
    this.arrange();
  }

  showMarks() {
    const marks = this.shared.value;
    const boxes = marks.filter((mark) => mark.kind === "box");
    this.drawn.replaceChildren(...boxes.flatMap(({ box, positive }) => outlined(box, positive ? "wanted" : "unwanted")));
    this.marks.replaceChildren(...marks.flatMap((mark, index) => this.tag(mark, index)));
    this.marks.hidden = !marks.length;
    this.arrange();
  }

  tag({ kind, box, positive }, index) {
    const sign = positive ? "+" : "−";
    const name = `Remove ${kind} ${index + 1}, ${positive ? "wanted" : "not wanted"}`;
    const remove = button("remove", name, CROSS, () => this.remove(index));
    const mark = make("div", { class: "mark" }, remove);
    if (kind === "box") {
      mark.prepend(make("span", { class: "sign", "aria-hidden": "true" }, sign));
      return [mark];
    }
    const pin = make("span", { class: positive ? "pin positive" : "pin", "aria-hidden": "true" }, sign);
    [pin.style.left, pin.style.top] = [`${box[0] * 100}%`, `${box[1] * 100}%`];
    return [pin, mark];
  }

  /** Put labels and tags where they are inside the picture, beside what they belong to. */
  arrange() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (!width || !height) return;
    this.measure();
    const taken = [];
    [...this.tags.children].forEach((label, index) => {
      if (label.hidden) return;
      const [x0, y0, , y1] = this.data.boxes[index];
      const [w, h] = [label.offsetWidth, label.offsetHeight];
      const left = clamp(x0 * width, 0, Math.max(0, width - w));
      const tops = [y0 * height - h - GAP, y0 * height + GAP, y1 * height + GAP, y1 * height - h - GAP];
      const inside = tops.filter((top) => top >= 0 && top <= height - h);
      const top = inside.find((top) => !taken.some((other) => touches([left, top, w, h], other))) ?? inside[0] ?? 0;
      taken.push([left, top, w, h]);
      move(label, left, top);
    });
    [...this.marks.querySelectorAll(".mark")].forEach((tag, index) => {
      const { kind, box } = this.shared.value[index];
      const [w, h] = [tag.offsetWidth, tag.offsetHeight];
      const beside = box[0] * width + PIN + w <= width ? PIN : -PIN - w;
      const left = kind === "box" ? box[2] * width - w / 2 : box[0] * width + beside;
      const top = box[1] * height - h / 2 - (kind === "box" ? 0 : PIN);
      move(tag, clamp(left, 0, width - w), clamp(top, 0, height - h));
    });
  }

  // Pointing

  take(tool) {
    this.cancel();
    this.pad.hidden = tool === "look";
    this.pad.className = `pad ${tool}`;
    this.tell(HINTS[tool]);
    if (this.pad.hidden) this.pointed = false;
  }

  tell(sentence) {
    this.hint.textContent = sentence;
    this.hint.hidden = !sentence;
  }

  add(kind, box) {
    this.cancel();
    const marks = this.shared.value;
    if (marks.length >= this.data.most) {
      this.tell(`At most ${this.data.most} marks. Remove one to set another.`);
      return;
    }
    const mark = { kind, box: box.map(rounded), positive: this.data.tool !== "not" };
    this.shared.send([...marks, mark], this.setStateValue);
    this.tell(HINTS[this.data.tool]);
    this.showMarks();
  }

  remove(index) {
    this.shared.send(this.shared.value.filter((_, at) => at !== index), this.setStateValue);
    this.tell(HINTS[this.data.tool]);
    this.showMarks();
    const rest = this.marks.querySelectorAll(".remove");
    (rest[Math.min(index, rest.length - 1)] ?? this.pad).focus({ preventScroll: true });
  }

  press(event) {
    if (event.button !== 0 || !event.isPrimary || this.breakOff) return;
    this.cancel();
    this.pointed = true;
    const { tool } = this.data;
    const start = fractions(event, this.stage);
    const sides = (end) => [Math.abs(end[0] - start[0]), Math.abs(end[1] - start[1])];
    this.breakOff = drag(this.pad, event, {
      move: (at) => {
        const end = fractions(at, this.stage);
        const shown = tool !== "point" && Math.max(...sides(end)) >= LEAST;
        this.draft.replaceChildren(...(shown ? outlined(boxOf(start, end), this.style) : []));
      },
      end: (at) => {
        const end = fractions(at, this.stage);
        this.cancel();
        if (tool !== "box" && (tool === "point" || Math.max(...sides(end)) < LEAST)) this.add("point", [...end, ...end]);
        else if (Math.min(...sides(end)) >= LEAST) this.add("box", boxOf(start, end));
      },
      cancel: () => this.cancel(),
    });
  }

  point(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key in ARROWS) {
      if (this.pointed) return;
      const [dx, dy] = ARROWS[event.key].map((sign) => sign * STEP * (event.shiftKey ? 10 : 1));
      const [x, y] = this.crosshair ?? [0.5, 0.5];
      this.crosshair = [rounded(clamp(x + dx)), rounded(clamp(y + dy))];
    } else if (event.key === "Enter" || event.key === " ") {
      this.pointed = false;
      if (!this.crosshair) this.crosshair = [0.5, 0.5];
      else if (!event.repeat) this.enter();
    } else return;
    event.preventDefault();
    this.showCrosshair();
  }

  enter() {
    const at = this.crosshair;
    if (this.data.tool !== "box") this.add("point", [...at, ...at]);
    else if (!this.corner) {
      this.corner = at;
      this.tell("One corner is set. Go to the other and press Enter; Escape cancels.");
    } else if (Math.min(Math.abs(at[0] - this.corner[0]), Math.abs(at[1] - this.corner[1])) >= LEAST)
      this.add("box", boxOf(this.corner, at));
    this.crosshair = at; // stays where it is for the next one
  }

  showCrosshair() {
    const [x, y] = this.crosshair;
    const lines = [
      { x1: x, x2: x, y1: 0, y2: 1 },
      { x1: 0, x2: 1, y1: y, y2: y },
    ];
    const cross = ["halo", "found"].flatMap((style) => lines.map((line) => shape("line", { ...line, class: style })));
    const box = this.corner ? outlined(boxOf(this.corner, this.crosshair), this.style) : [];
    this.draft.replaceChildren(...cross, ...box);
  }

  get style() {
    return this.data.tool === "not" ? "unwanted" : "wanted";
  }

  /** End what is being drawn; whether anything was. */
  cancel() {
    const drawing = Boolean(this.breakOff || this.crosshair);
    const breakOff = this.breakOff;
    [this.breakOff, this.crosshair, this.corner] = [null, null, null];
    breakOff?.();
    this.draft.replaceChildren();
    return drawing;
  }

  leave() {
    this.pointed = false;
    if (!this.breakOff) this.cancel();
  }

  // Keys of the whole page

  walk(event) {
    const { key, repeat, altKey, ctrlKey, metaKey, shiftKey } = event;
    const go = { ArrowLeft: "previous", ArrowRight: "next", Escape: "close" }[key];
    if (!go || repeat || altKey || ctrlKey || metaKey || shiftKey || event.defaultPrevented) return;
    const path = event.composedPath();
    if (path[0].closest?.(USES_ARROWS) || (go !== "close" && path.includes(this.frame) && this.frame.matches(".large"))) return;
    const covered = [...document.querySelectorAll("[role=dialog]")].some((dialog) => !dialog.contains(this.host));
    if (!covered) this.go(go);
  }

  go(step) {
    if (step !== "close" && !this.data[step]) return;
    tellPython(this.setStateValue, "go", this.data.subject, step);
  }
}

/** A rectangle with its halo. */
function outlined([x0, y0, x1, y1], style) {
  const area = { x: x0, y: y0, width: x1 - x0, height: y1 - y0 };
  return LINES[style].map((name) => shape("rect", { ...area, class: name }));
}

const move = (element, left, top) => (element.style.transform = `translate(${left}px, ${top}px)`);
const touches = ([ax, ay, aw, ah], [bx, by, bw, bh]) => ax < bx + bw && bx < ax + aw && ay < by + bh && by < ay + ah;

export default function (component) {
  return present(PhotoView, component);
}
