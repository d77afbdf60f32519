// A strip of bars by month, or by year where months are too many: a click or a drag chooses a stretch
// of time. Months are numbers here: twelve times the year, and the month from 0.

const THINNEST = { months: 8, years: 6 }; // pixels a bar
const LABEL = 38; // pixels of a year below the strip
const NAMES = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const full = new Intl.NumberFormat("en");
const photos = (count) => `${full.format(count)} ${count === 1 ? "photo" : "photos"}`;
const yearOf = (month) => Math.floor(month / 12);
const named = (month) => `${NAMES[month % 12]} ${yearOf(month)}`;
const within = (number, [first, last]) => number >= first && number <= last;

/** How people write a stretch: May 2021, 2021, 2019 – 2021, May 2021 – March 2022. */
function told([first, last]) {
  if (first % 12 === 0 && last % 12 === 11) {
    return yearOf(first) === yearOf(last) ? `${yearOf(first)}` : `${yearOf(first)} – ${yearOf(last)}`;
  }
  return first === last ? named(first) : `${named(first)} – ${named(last)}`;
}

class Timeline {
  constructor(parent) {
    this.shared = new Shared();
    this.year = null; // the one that is looked at month by month
    this.at = 0; // the bar that the keyboard is on
    this.anchor = null; // where a stretch begins that the keyboard draws
    this.pending = null; // the first and the last bar of a stretch that is being drawn
    this.title = make("p", { class: "title" });
    this.back = button("remove back", "Back to all years", "M8 1L3 6L8 11", () => this.look(null));
    this.clear = make("button", { type: "button", class: "clear" }, "All time");
    this.clear.addEventListener("click", () => (this.send(null), this.bars[this.at]?.face.focus()));
    this.strip = make("div", { class: "strip", role: "group", "aria-label": "Photos by time. Arrow keys move, Shift and arrows mark a stretch, Enter chooses." });
    this.axis = make("div", { class: "axis", "aria-hidden": "true" });
    this.root = make("div", { class: "root" }, make("div", { class: "head" }, this.back, this.title, this.clear), this.strip, this.axis);
    parent.append(this.root);
    this.strip.addEventListener("pointerdown", (event) => this.press(event));
    this.strip.addEventListener("pointermove", (event) => !this.pending && this.tell(this.barAt(event)));
    this.strip.addEventListener("pointerleave", () => this.tell());
    this.strip.addEventListener("keydown", (event) => this.walk(event));
    this.strip.addEventListener("focusout", () => this.tell());
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(this.strip);
  }

  update({ data, setStateValue }) {
    const first = !this.data;
    this.data = data;
    this.setStateValue = setStateValue;
    if (this.shared.receive(data)) this.chosen = data.value.months;
    if (this.year !== null && !data.months.some(([month]) => yearOf(month) === this.year)) this.year = null;
    this.draw();
    const [start, end] = (this.chosen ?? []).map(yearOf);
    if (first && this.chosen && !this.months && start === end) {
      this.year = start;
      this.draw();
    }
  }

  destroy() {
    this.sizes.disconnect();
    this.root.remove();
  }

  /** The bars to draw: their first and last month and their photos. */
  layOut() {
    const counts = new Map(this.data.months);
    const sum = (first, last) => {
      let count = 0;
      for (let month = first; month <= last; month++) count += counts.get(month) ?? 0;
      return { first, last, count };
    };
    const each = (first, last, step) => Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, place) => sum(first + place * step, first + place * step + step - 1));
    const numbers = this.data.months.map(([month]) => month);
    const [first, last] = [Math.min(...numbers), Math.max(...numbers)];
    const width = this.strip.clientWidth || 600;
    this.months = this.year !== null || last - first < width / THINNEST.months;
    if (this.year !== null) return each(this.year * 12, this.year * 12 + 11, 1);
    if (this.months) return each(first, last, 1);
    const [start, end] = [yearOf(first) * 12, yearOf(last) * 12];
    const years = each(start, end, 12);
    // Where the years are too many, those without photos are left out.
    return years.length <= width / THINNEST.years ? years : years.filter(({ count }) => count);
  }

  draw() {
    if (!this.data) return;
    const none = !this.data.months.length;
    this.strip.hidden = this.axis.hidden = none;
    this.back.hidden = this.year === null || none;
    const bars = none ? [] : this.layOut();
    if (!same(bars, this.drawn)) {
      const focused = this.bars?.[this.at]?.face.matches(":focus");
      this.drawn = bars;
      this.bars = bars.map((bar) => ({ ...bar, face: this.face(bar) }));
      this.strip.replaceChildren(...this.bars.map(({ face }) => face));
      this.at = clamp(this.at, 0, Math.max(bars.length - 1, 0));
      this.anchor = this.pending = null;
      if (focused) this.bars[this.at]?.face.focus();
    }
    this.label();
    this.mark();
  }

  face({ first, last, count }) {
    const face = make("button", { type: "button", class: "bar", tabindex: "-1", "aria-label": `${told([first, last])}: ${photos(count)}` }, make("span"));
    // The root: a month of a thousand photos does not hide one of ten.
    const highest = Math.max(...this.drawn.map((bar) => bar.count));
    face.style.setProperty("--high", count ? `max(3px, ${Math.sqrt(count / highest) * 100}%)` : "0px");
    face.addEventListener("click", (event) => event.detail === 0 && this.take(this.anchor ?? this.indexOf(face), this.indexOf(face)));
    face.addEventListener("focus", () => this.tell((this.at = this.indexOf(face))));
    return face;
  }

  indexOf(face) {
    return this.bars.findIndex((bar) => bar.face === face);
  }

  /** The years or months below, as many as there is room for. */
  label() {
    const width = this.strip.clientWidth / Math.max(this.bars.length, 1);
    let free = 0;
    const labels = this.bars.flatMap(({ first }, place) => {
      if (this.months && this.year === null && first % 12) return [];
      const text = this.year === null ? `${yearOf(first)}` : NAMES[first % 12].slice(0, width > 30 ? 3 : 1);
      if (place * width < free || (this.year === null && place * width + LABEL > this.strip.clientWidth + width)) return [];
      free = place * width + (this.year === null ? LABEL : 0);
      const label = make("span", { class: this.months && this.year === null ? "start" : "middle" }, text);
      label.style.left = `${((place + (this.months && this.year === null ? 0 : 0.5)) / this.bars.length) * 100}%`;
      return [label];
    });
    this.axis.replaceChildren(...labels);
  }

  /** Show what is chosen, or about to be. */
  mark() {
    const range = this.pending ? this.stretch(...this.pending) : this.chosen;
    this.strip.classList.toggle("some", !!range);
    this.bars.forEach(({ first, last, face }, place) => {
      const on = !!range && first <= range[1] && last >= range[0];
      face.classList.toggle("on", on);
      face.setAttribute("aria-pressed", String(on));
      face.tabIndex = place === this.at ? 0 : -1;
    });
    this.clear.hidden = !this.chosen;
    this.tell();
  }

  /** One line above: the bar pointed at, what is chosen, or everything. */
  tell(place) {
    const { months, undated } = this.data;
    const pointed = this.pending ? this.stretch(...this.pending) : this.bars[place] && [this.bars[place].first, this.bars[place].last];
    const range = pointed ?? this.chosen;
    const count = months.reduce((sum, [month, more]) => sum + (!range || within(month, range) ? more : 0), 0);
    const whole = this.bars.length ? told([this.bars[0].first, this.bars.at(-1).last]) : "";
    const rest = undated && !range ? `, ${full.format(undated)} without a date` : "";
    this.title.textContent = months.length ? `${range ? told(range) : whole}: ${photos(this.year === null || range ? count : this.bars.reduce((sum, bar) => sum + bar.count, 0))}${rest}` : "None of these photos has a date.";
  }

  barAt({ clientX }) {
    const { left, width } = this.strip.getBoundingClientRect();
    return clamp(Math.floor(((clientX - left) / width) * this.bars.length), 0, this.bars.length - 1);
  }

  stretch(a, b) {
    return [this.bars[Math.min(a, b)].first, this.bars[Math.max(a, b)].last];
  }

  press(event) {
    if (event.button !== 0 || !this.bars.length) return;
    const start = this.barAt(event);
    const show = (end) => ((this.pending = [start, end]), this.mark());
    show(start);
    drag(this.strip, event, {
      move: (moved) => show(this.barAt(moved)),
      end: (last) => this.take(start, this.barAt(last)),
      cancel: () => ((this.pending = null), this.mark()),
    });
  }

  walk(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape" && this.anchor !== null) {
      event.stopPropagation();
      this.anchor = this.pending = null;
      return this.mark();
    }
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation(); // the page may turn photos with the same keys
    const before = this.at;
    const next = clamp(before + step, 0, this.bars.length - 1);
    this.anchor = event.shiftKey ? (this.anchor ?? before) : null;
    this.pending = this.anchor === null ? null : [this.anchor, next];
    this.at = next;
    this.mark();
    this.bars[next].face.focus();
  }

  /** Choose from one bar to another; one year is looked at more closely, one month is given back. */
  take(a, b) {
    const range = this.stretch(a, b);
    this.anchor = this.pending = null;
    this.at = b;
    if (a === b && !this.months) this.look(yearOf(range[0]));
    else if (same(range, this.chosen)) return this.send(null);
    this.send(range);
  }

  look(year) {
    const before = this.year;
    this.year = year;
    this.at = 0;
    this.draw();
    if (year === null) this.at = Math.max(0, this.bars.findIndex(({ first }) => yearOf(first) === before));
    this.mark();
    this.bars[this.at]?.face.focus();
  }

  send(range) {
    this.chosen = range;
    this.mark();
    this.shared.send({ months: range }, this.setStateValue);
  }
}

export default (props) => present(Timeline, props);
