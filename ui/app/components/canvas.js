// The layout canvas: an empty stage on which the user places words.

const STEP = 0.02; // of a box moved by keys
const USUAL = 0.3; // side of a box that is placed by its word alone
const SPOTS = 9; // places tried along each side for such a box
const LOW = 0.16; // of the stage: in a box less high, a word hides the box
const HELP =
  "Drag a box to move it, its corners to resize it. With keys: arrows move, Shift and arrows resize, " +
  "Enter renames, Delete removes.";

class CanvasView {
  constructor(parent) {
    this.shared = new Shared();
    this.breakOff = null; // ends the drag that goes on
    this.moved = null; // the things as the keys have moved them, not sent yet
    this.writing = null; // the field in which a word is written on the stage
    this.boxes = []; // one element for each thing
    this.build(parent);
    this.control = new AbortController();
    onEscape(() => this.escape(), this.control.signal);
  }

  build(parent) {
    this.field = make("input", {
      type: "text",
      "aria-label": "Word to place",
      placeholder: "A thing, for instance tree",
      autocomplete: "off",
      enterkeyhint: "done",
    });
    const form = make("form", { class: "entry" }, this.field, make("button", { type: "submit" }, "Place"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.place();
    });
    this.empty = make("p", { class: "empty" }, "Place a word, or drag here to draw its box.");
    this.draft = make("div", { class: "box draft" });
    this.draft.hidden = true;
    this.stage = make("div", { class: "stage", role: "group", "aria-label": "Layout" }, this.empty, this.draft);
    this.stage.addEventListener("pointerdown", (event) => this.draw(event));
    this.hint = make("p", { class: "hint", id: "hint", role: "status" });
    this.help = make("p", { class: "unseen", id: "help" }, HELP);
    this.root = make("div", { class: "root" }, form, this.stage, this.hint, this.help);
    // Seen from the page, what is typed here is not typed in a field: its single-key commands must
    // not hear it.
    for (const name of ["keydown", "keypress", "keyup"])
      this.root.addEventListener(name, (event) => event.target.matches("input") && event.stopPropagation());
    parent.append(this.root);
  }

  destroy() {
    this.control.abort();
    this.root.remove();
  }

  update({ data, setStateValue }) {
    const first = !this.data;
    this.data = data;
    this.setStateValue = setStateValue;
    this.field.maxLength = data.longest;
    this.stage.style.setProperty("--ratio", data.ratio);
    if (!this.shared.receive(data) && !first) return;
    this.escape();
    this.moved = null;
    this.show();
  }

  get things() {
    return this.shared.value;
  }

  /** Change the things, show them and tell Python. */
  change(things) {
    this.moved = null;
    this.shared.send(things.map(({ text, box }) => ({ text, box: box.map(rounded) })), this.setStateValue);
    this.show();
  }

  // What is seen

  show(things = this.things) {
    while (this.boxes.length > things.length) this.boxes.pop().remove();
    while (this.boxes.length < things.length) {
      const box = this.newBox(this.boxes.length);
      this.boxes.push(box);
      this.stage.append(box);
    }
    things.forEach((thing, index) => this.showBox(this.boxes[index], thing));
    this.empty.hidden = things.length > 0;
    this.say(things.length ? HELP : "");
  }

  say(sentence) {
    this.hint.textContent = sentence;
  }

  newBox(index) {
    const word = make("span", { class: "word" });
    const remove = button("remove", "", CROSS, () => this.remove(index));
    const chip = make("div", { class: "chip" }, word, remove);
    const corners = ["nw", "ne", "sw", "se"].map((name) => make("div", { class: `corner ${name}` }));
    const box = make("div", { class: "box", role: "group", tabindex: "0", "aria-describedby": "help" }, chip, ...corners);
    box.addEventListener("pointerdown", (event) => this.hold(event, index));
    box.addEventListener("dblclick", (event) => event.target.closest(".remove, .corner") || this.rename(index));
    box.addEventListener("keydown", (event) => event.target === box && this.key(event, index));
    box.addEventListener("keyup", (event) => event.key in ARROWS && this.settle());
    box.addEventListener("blur", () => this.settle());
    return box;
  }

  showBox(element, { text, box }) {
    const [x0, y0, x1, y1] = box;
    const [word, remove] = [element.querySelector(".word"), element.querySelector(".remove")];
    word.textContent = word.title = text;
    const place = `${percent(x0)} from the left, ${percent(y0)} from the top, ${percent(x1 - x0)} wide, ${percent(y1 - y0)} high`;
    element.setAttribute("aria-label", `${text}, ${place}`);
    remove.setAttribute("aria-label", `Remove ${text}`);
    lay(element, box);
    // Small boxes lie over large ones, where they can be reached.
    element.style.zIndex = 1 + Math.round((1 - (x1 - x0) * (y1 - y0)) * 100);
    this.seat(element.querySelector(".chip"), box);
  }

  /** Let a word grow to the side where there is room, and stand beside a box too low for it. */
  seat(chip, [x0, y0, x1, y1]) {
    const right = x0 > 1 - x1 && x1 - x0 < 0.5;
    chip.classList.toggle("right", right);
    chip.classList.toggle("below", y1 - y0 < LOW && y1 <= 1 - LOW);
    chip.classList.toggle("above", y1 - y0 < LOW && y1 > 1 - LOW);
    chip.style.setProperty("--room", right ? x1 : 1 - x0);
  }

  // Place, rename, remove

  full() {
    if (this.things.length < this.data.most) return false;
    this.say(`At most ${this.data.most} things. Remove one to place another.`);
    return true;
  }

  place() {
    const text = this.cleaned(this.field.value);
    if (!text || this.full()) return;
    this.field.value = "";
    this.change([...this.things, { text, box: this.freeSpot() }]);
  }

  cleaned(text) {
    return text.replace(/\s+/g, " ").trim().slice(0, this.data.longest);
  }

  /** The box of usual size that covers least of the others, nearest to the middle. */
  freeSpot() {
    const spots = [];
    for (let row = 0; row < SPOTS; row++)
      for (let column = 0; column < SPOTS; column++) {
        const [x, y] = [column, row].map((at) => (at * (1 - USUAL)) / (SPOTS - 1));
        const box = [x, y, x + USUAL, y + USUAL];
        const covered = this.things.reduce((sum, thing) => sum + overlap(box, thing.box), 0);
        spots.push({ box, cost: covered + Math.hypot(x + USUAL / 2 - 0.5, y + USUAL / 2 - 0.5) / 1000 });
      }
    return spots.reduce((best, spot) => (spot.cost < best.cost ? spot : best)).box;
  }

  remove(index) {
    this.settle();
    this.change(this.things.filter((_, at) => at !== index));
    (this.boxes[Math.min(index, this.boxes.length - 1)] ?? this.field).focus({ preventScroll: true });
  }

  rename(index) {
    this.settle();
    const { text, box } = this.things[index];
    const element = this.boxes[index];
    this.write(element, box, text, (word) => {
      if (word && word !== text) this.change(this.things.with(index, { text: word, box }));
    }, element);
  }

  /** Ask for a word in a field on `element`; `done` gets it, "" when there is none. */
  write(element, box, text, done, after) {
    this.writing?.end(false);
    const name = { type: "text", "aria-label": "Word for this box", autocomplete: "off" };
    const input = make("input", { ...name, maxlength: this.data.longest });
    input.value = text;
    const chip = make("div", { class: "chip writing" }, input);
    this.seat(chip, box);
    const old = element.querySelector(".chip");
    if (old) old.hidden = true;
    element.append(chip);
    const end = (keep) => {
      if (!this.writing) return;
      this.writing = null;
      const hadFocus = input.matches(":focus");
      chip.remove();
      if (old) old.hidden = false;
      done(keep ? this.cleaned(input.value) : "");
      if (hadFocus) after.focus({ preventScroll: true });
    };
    this.writing = { end };
    input.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), end(true)));
    input.addEventListener("blur", () => end(true));
    for (const name of ["pointerdown", "dblclick"]) input.addEventListener(name, (event) => event.stopPropagation());
    input.focus({ preventScroll: true });
    input.select();
  }

  // Pointer

  draw(event) {
    if (event.target !== this.stage || event.button !== 0 || !event.isPrimary || this.breakOff) return;
    const start = fractions(event, this.stage);
    const least = this.data.least;
    const large = ([x0, y0, x1, y1]) => x1 - x0 >= least && y1 - y0 >= least;
    this.breakOff = drag(this.stage, event, {
      move: (at) => {
        const box = boxOf(start, fractions(at, this.stage));
        this.draft.hidden = false;
        lay(this.draft, box);
      },
      end: (at) => {
        const box = boxOf(start, fractions(at, this.stage));
        this.stop();
        if (large(box) && !this.full()) this.name(box);
      },
      cancel: () => this.stop(),
    });
  }

  name(box) {
    lay(this.draft, box);
    this.draft.hidden = false;
    this.write(this.draft, box, "", (text) => {
      this.draft.hidden = true;
      if (text) this.change([...this.things, { text, box }]);
    }, this.field);
  }

  hold(event, index) {
    if (event.target.closest(".remove, input") || event.button !== 0 || !event.isPrimary || this.breakOff) return;
    event.stopPropagation();
    const element = this.boxes[index];
    const { text, box } = this.things[index];
    const corner = event.target.closest(".corner")?.classList[1];
    const start = fractions(event, this.stage);
    let now = box;
    const at = (moved) => {
      const [dx, dy] = fractions(moved, this.stage).map((value, axis) => value - start[axis]);
      now = corner ? stretched(box, corner, dx, dy, this.data.least) : shifted(box, dx, dy);
    };
    element.classList.add("held");
    this.breakOff = drag(element, event, {
      move: (moved) => {
        at(moved);
        this.showBox(element, { text, box: now });
      },
      end: (moved) => {
        at(moved);
        this.stop();
        if (same(now.map(rounded), box.map(rounded))) this.showBox(element, { text, box });
        else this.change(this.things.with(index, { text, box: now }));
      },
      cancel: () => {
        this.stop();
        this.showBox(element, { text, box });
      },
    });
  }

  /** End the gesture that goes on; whether there was one. */
  stop() {
    const breakOff = this.breakOff;
    this.breakOff = null;
    breakOff?.();
    this.draft.hidden = true;
    for (const box of this.boxes) box.classList.remove("held");
    return Boolean(breakOff);
  }

  // Keys

  key(event, index) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const things = this.moved ?? this.things;
    if (event.key in ARROWS) {
      const [dx, dy] = ARROWS[event.key].map((sign) => sign * STEP);
      const { text, box } = things[index];
      const now = event.shiftKey ? stretched(box, "se", dx, dy, this.data.least) : shifted(box, dx, dy);
      this.moved = things.with(index, { text, box: now });
      this.showBox(this.boxes[index], this.moved[index]);
    } else if (event.key === "Enter" || event.key === "F2") this.rename(index);
    else if (event.key === "Delete" || event.key === "Backspace") this.remove(index);
    else return;
    event.preventDefault();
  }

  /** Send what the keys have moved, once they are up. */
  settle() {
    const moved = this.moved;
    this.moved = null;
    if (moved && !same(moved, this.things)) this.change(moved);
  }

  escape() {
    const { writing } = this;
    writing?.end(false);
    return this.stop() || Boolean(writing);
  }
}

/** A box moved, inside the stage. */
function shifted([x0, y0, x1, y1], dx, dy) {
  const [mx, my] = [clamp(dx, -x0, 1 - x1), clamp(dy, -y0, 1 - y1)];
  return [x0 + mx, y0 + my, x1 + mx, y1 + my];
}

/** A box with one corner ("nw" .. "se") moved, inside the stage and not too small. */
function stretched([x0, y0, x1, y1], corner, dx, dy, least) {
  const [west, north] = [corner.includes("w"), corner.includes("n")];
  return [
    west ? clamp(x0 + dx, 0, x1 - least) : x0,
    north ? clamp(y0 + dy, 0, y1 - least) : y0,
    west ? x1 : clamp(x1 + dx, x0 + least, 1),
    north ? y1 : clamp(y1 + dy, y0 + least, 1),
  ];
}

/** The area that two boxes share. */
function overlap(a, b) {
  const sides = [0, 1].map((axis) => Math.min(a[axis + 2], b[axis + 2]) - Math.max(a[axis], b[axis]));
  return Math.max(0, sides[0]) * Math.max(0, sides[1]);
}

export default function (component) {
  return present(CanvasView, component);
}
