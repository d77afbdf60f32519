// What the components share. It is put before each of them: a component's module is sent as text
// and cannot import from its neighbours.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const DIGITS = 1e5; // fractions are sent with five decimals

const clamp = (value, low = 0, high = 1) => Math.min(Math.max(value, low), high);
const rounded = (value) => Math.round(value * DIGITS) / DIGITS;
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const percent = (fraction) => `${Math.round(fraction * 100)} %`;

/** An element with attributes and children; strings become text, never markup. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** An SVG element with attributes. */
function shape(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A round button with a drawn sign and a name that is read out. */
function button(kind, name, path, act) {
  const sign = shape("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, shape("path", { d: path }));
  const element = make("button", { type: "button", class: kind, "aria-label": name }, sign);
  element.addEventListener("click", act);
  return element;
}
const CROSS = "M2 2L10 10M10 2L2 10";

/** Where an event is on an element, as fractions in 0..1, whatever the page's scroll and zoom. */
function fractions(event, element) {
  const area = element.getBoundingClientRect();
  return [
    clamp((event.clientX - area.left) / area.width),
    clamp((event.clientY - area.top) / area.height),
  ];
}

/** Two corners in any order as x0, y0, x1, y1. */
function boxOf([ax, ay], [bx, by]) {
  const box = [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)];
  return box.map(rounded);
}

/** Lay an element over the box, in percent of its parent. */
function lay(element, [x0, y0, x1, y1]) {
  element.style.left = `${x0 * 100}%`;
  element.style.top = `${y0 * 100}%`;
  element.style.width = `${(x1 - x0) * 100}%`;
  element.style.height = `${(y1 - y0) * 100}%`;
}

/** Hold `element` from here until the pointer is up: `move` at each step, then `end(event)`, or
 * `cancel()` when the gesture is broken off. Returns what breaks it off. */
function drag(element, start, { move, end, cancel }) {
  const control = new AbortController();
  const mine = (act) => (event) => event.pointerId === start.pointerId && act(event);
  const stop = (then) => (event) => {
    control.abort();
    if (element.hasPointerCapture(start.pointerId)) element.releasePointerCapture(start.pointerId);
    then(event);
  };
  element.setPointerCapture(start.pointerId);
  const listen = (name, act) =>
    element.addEventListener(name, mine(act), { signal: control.signal });
  listen("pointermove", move);
  listen("pointerup", stop(end));
  listen("pointercancel", stop(cancel));
  return () => control.signal.aborted || stop(cancel)();
}

/** Let Escape end what is being drawn or written: `end` says whether there was anything. It must not
 * close the dialog around the component as well, so it goes no further, on its way down or up. */
function onEscape(end, signal) {
  let ended = false;
  const listen = (name, act) =>
    window.addEventListener(name, (event) => event.key === "Escape" && act(event), { capture: true, signal });
  const swallow = (event) => {
    if (!ended) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  listen("keydown", (event) => ((ended = end()), swallow(event)));
  listen("keyup", (event) => (swallow(event), (ended = false)));
}

let lastSerial = 0;

/** Tell Python what the user did; returns the serial under which Python will answer. */
function tellPython(setStateValue, name, subject, value) {
  // Greater than any serial before, also of an earlier mount: Python takes it for a new one.
  lastSerial = Math.max(Date.now(), lastSerial + 1);
  setStateValue(name, { serial: lastSerial, subject, value });
  return lastSerial;
}

/** What is drawn here and what Python knows of it.
 *
 * A change is shown at once and sent; until Python has answered it, values from Python are older
 * than what is seen and wait. After that they are the truth. */
class Shared {
  #serial = 0;
  #subject;
  value = [];

  /** Take Python's data; whether `value` is another one than before. */
  receive({ subject, answers, value }) {
    const fresh = subject !== this.#subject;
    if (fresh) this.#serial = 0;
    this.#subject = subject;
    if (this.#serial && answers !== this.#serial) return false;
    if (!fresh && same(value, this.value)) return false;
    this.value = value;
    return true;
  }

  /** Change the value and tell Python. */
  send(value, setStateValue) {
    this.value = value;
    this.#serial = tellPython(setStateValue, "edit", this.#subject, value);
  }
}

const mounted = new WeakMap();

/** The view that lives in `parent`: built at the first call, fed with every data, and ended by the
 * cleanup of its last call only, since Streamlit may run the cleanup of an older call late. */
function present(View, { parentElement, ...props }) {
  let view = mounted.get(parentElement);
  if (!view) mounted.set(parentElement, (view = new View(parentElement)));
  const call = (view.call = {});
  view.update(props);
  return () => {
    if (view.call !== call) return;
    view.destroy();
    mounted.delete(parentElement);
  };
}
