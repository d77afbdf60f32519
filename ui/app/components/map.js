// A map of photos: coasts and borders drawn from our own data, spots of photos as buttons.
// Leaflet and the world come from map_library.js, which is sent once; this file with every change.

const READY = "tips-map-ready";
const PATCH = 91; // pixels: at whole and half zooms, cells are then 64 or 90.5 wide
const PAUSE = 150; // ms without a move before Python is told
const LETTER = 7.5; // pixels of a country's name, about
const CLOSEST = 17;
const PADDING = [48, 48];
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const full = new Intl.NumberFormat("en");

class PhotoMap {
  constructor(parent) {
    this.canvas = make("div", { class: "map", role: "application", "aria-label": "Map of the photos. Arrow keys move it, plus and minus zoom." });
    this.status = make("p", { class: "status", role: "status" });
    this.only = make("button", { type: "button", class: "only" }, "Only photos in this view");
    this.only.addEventListener("click", () => this.choose(this.seen()));
    this.root = make("div", { class: "root" }, this.canvas, make("div", { class: "bar" }, this.status, this.only));
    parent.append(this.root);
    this.spots = new Map(); // newest photo of a spot -> its marker
    this.control = new AbortController();
    if (globalThis.tipsMap) this.build(globalThis.tipsMap);
    else window.addEventListener(READY, () => this.build(globalThis.tipsMap), { once: true, signal: this.control.signal });
  }

  build({ L, world }) {
    this.L = L;
    this.canvas.style.height = `min(${this.data?.height ?? 520}px, 70vh)`;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.map = L.map(this.canvas, {
      center: [25, 10], zoom: 2, maxZoom: CLOSEST, zoomSnap: 0.5, zoomDelta: 1, scrollWheelZoom: false,
      worldCopyJump: true, maxBounds: [[-85, -1e4], [85, 1e4]], maxBoundsViscosity: 1,
      zoomAnimation: !still, fadeAnimation: !still, inertia: !still, zoomControl: false,
    });
    this.map.getPane("overlayPane").setAttribute("aria-hidden", "true");
    this.map.attributionControl.setPrefix(false);
    L.control.zoom({ position: "topright" }).addTo(this.map);
    L.control.scale({ imperial: false }).addTo(this.map);
    for (const event of ["pointerdown", "keydown", "wheel"]) {
      this.canvas.addEventListener(event, () => (this.touched = true), { passive: true });
    }
    // A wheel over a map that nobody is at work on turns the page.
    this.map.on("focus", () => this.map.scrollWheelZoom.enable());
    this.map.on("blur", () => this.map.scrollWheelZoom.disable());
    if (this.data?.tiles) this.layTiles(this.data.tiles);
    else this.layLand(world);
    this.map.on("moveend", () => this.moved());
    this.sizes = new ResizeObserver(() => this.fill());
    this.sizes.observe(this.canvas);
    this.fill();
    if (this.data) this.showSpots(this.data.clusters);
    this.moved();
  }

  layTiles(template) {
    const attribution = make("span", {}, `Tiles: ${new URL(template.replace("{s}", "a")).hostname}`).outerHTML;
    this.L.tileLayer(template, { attribution, maxZoom: CLOSEST, referrerPolicy: "no-referrer" }).addTo(this.map);
  }

  layLand({ scale, arcs, land, borders, names }) {
    const lines = arcs.map((text) => decoded(text, scale));
    const arc = (number) => (number >= 0 ? lines[number] : lines[~number].toReversed());
    // An arc begins where the one before it ends.
    const ring = (numbers) => unrolled(numbers.flatMap((number, place) => arc(number).slice(place ? 1 : 0)));
    const polygons = land.map((rings) => rings.map(ring));
    const renderer = this.L.svg({ padding: 0.5 });
    const drawn = (kind) => ({ className: kind, renderer, interactive: false, smoothFactor: 1.2 });
    for (const turn of [-360, 0, 360]) {
      const turned = ([lat, lon]) => [lat, lon + turn];
      this.L.polygon(polygons.map((rings) => rings.map((points) => points.map(turned))), drawn("land")).addTo(this.map);
      this.L.polyline(borders.map((number) => lines[number].map(turned)), drawn("borders")).addTo(this.map);
    }
    this.map.attributionControl.addAttribution("Natural Earth");
    this.names = names;
    const pane = this.map.createPane("names");
    pane.setAttribute("aria-hidden", "true");
    this.labels = this.L.layerGroup().addTo(this.map);
  }

  /** Keep the world at least as large as the map, and in it what is to be shown at first. */
  fill() {
    this.map.invalidateSize({ pan: false });
    const { x, y } = this.map.getSize();
    const least = Math.ceil(2 * Math.log2(Math.max(x, y, 1) / 256)) / 2;
    // At once: `setMinZoom` would glide there, and end where it set out for whatever happens meanwhile.
    if (this.map.getZoom() < least) this.map.setView(this.map.getCenter(), least, { animate: false });
    if (least !== this.map.getMinZoom()) this.map.setMinZoom(least);
    if (this.data && !this.touched) this.fit(this.data.view, false);
  }

  update({ data, setStateValue }) {
    const before = this.data ?? {};
    this.data = data;
    this.setStateValue = setStateValue;
    if (this.map) this.show(data, before);
  }

  show(data, before) {
    this.canvas.style.height = `min(${data.height}px, 70vh)`;
    if (!("view" in before) || !same(data.view, before.view)) this.fit(data.view, "view" in before);
    if (!same(data.clusters, before.clusters)) this.showSpots(data.clusters);
  }

  fit(view, animate = true) {
    this.touched = false;
    if (!view) this.map.setView([25, 10], this.map.getMinZoom(), { animate });
    else this.map.fitBounds(corners(view), { padding: PADDING, maxZoom: 12, animate });
  }

  destroy() {
    this.control.abort();
    clearTimeout(this.waiting);
    this.sizes?.disconnect();
    this.map?.remove();
    this.root.remove();
  }

  seen() {
    const bounds = this.map.getBounds();
    return [bounds.getSouth(), bounds.getWest(), bounds.getNorth(), bounds.getEast()];
  }

  moved() {
    this.showNames();
    this.showSpots(this.data?.clusters ?? []); // another copy of the world may be in view
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => {
      const width = this.map.getSize().x;
      if (!width || !this.setStateValue) return;
      const whole = 256 * 2 ** this.map.getZoom();
      const cells = Math.max(1, Math.floor(Math.min(width, whole) / PATCH));
      const view = { bounds: this.seen(), zoom: this.map.getZoom(), cells };
      if (!same(view, this.told)) this.setStateValue("view", (this.told = view));
    }, PAUSE);
  }

  /** The names of countries that are wider than their names. */
  showNames() {
    if (!this.names) return;
    const [view, pixels] = [this.map.getBounds().pad(0.2), (256 * 2 ** this.map.getZoom()) / 360];
    const centre = this.map.getCenter().lng;
    this.labels.clearLayers();
    for (const [name, lon, lat, width] of this.names) {
      const place = [lat, beside(lon, centre)];
      const wide = name.length * LETTER;
      if (width * pixels < wide || width * pixels > 12 * wide || !view.contains(place)) continue;
      const icon = this.L.divIcon({ className: "name", html: make("span", {}, name), iconSize: [0, 0] });
      this.L.marker(place, { icon, pane: "names", interactive: false, keyboard: false }).addTo(this.labels);
    }
  }

  showSpots(spots) {
    const held = this.root.getRootNode().activeElement;
    const centre = this.map.getCenter().lng;
    const gone = new Map(this.spots);
    let photos = 0;
    for (const spot of spots) {
      const [lat, lon, count, id] = spot;
      photos += count;
      const key = `${id} ${count > 1}`;
      let marker = gone.get(key);
      gone.delete(key);
      if (!marker) {
        const html = make("button", { type: "button" });
        const icon = this.L.divIcon({ className: "spot", html, iconSize: [0, 0] });
        marker = this.L.marker([lat, lon], { icon, keyboard: false, riseOnHover: true }).addTo(this.map);
        marker.on("click", () => this.open(marker.spot));
        marker.face = html;
        this.spots.set(key, marker);
      }
      marker.spot = spot;
      marker.setLatLng([lat, beside(lon, centre)]);
      this.dress(marker.face, count);
    }
    for (const [key, marker] of gone) {
      if (marker.face === held) this.canvas.focus({ preventScroll: true });
      marker.remove();
      this.spots.delete(key);
    }
    const none = this.data?.view ? "No photos in this view" : "None of these photos says where it was taken";
    this.status.textContent = photos ? named(photos, "in this view") : none;
    this.only.disabled = !photos;
  }

  dress(face, count) {
    face.className = count > 1 ? "many" : "one";
    face.style.setProperty("--size", `${Math.round(count > 1 ? 22 + 8 * Math.log10(count * 2) : 16)}px`);
    face.textContent = count > 1 ? compact.format(count) : "";
    face.setAttribute("aria-label", named(count));
    face.title = count > 1 ? `${named(count)}: look closer` : "Open this photo";
  }

  /** One photo opens; a spot is looked at more closely, and chosen where that shows no more. */
  open([lat, lon, count, id, ...extent]) {
    if (count === 1) return tellPython(this.setStateValue, "photo", null, id);
    const around = this.L.latLngBounds(corners(extent));
    const zoom = this.map.getZoom();
    const [south, west, north, east] = extent;
    const oneplace = north - south < 1e-5 && Math.abs(east - west) < 1e-5;
    if (zoom >= CLOSEST || oneplace) return this.choose(extent);
    const centre = around.getCenter();
    const closer = Math.max(this.map.getBoundsZoom(around, false, PADDING.map((side) => 2 * side)), zoom + 1);
    this.map.flyTo([centre.lat, beside(centre.lng, this.map.getCenter().lng)], Math.min(closer, CLOSEST), { duration: 0.5 });
    this.canvas.focus({ preventScroll: true });
  }

  choose(bounds) {
    tellPython(this.setStateValue, "area", null, bounds);
  }
}

const named = (count, where = "") => `${full.format(count)} ${count === 1 ? "photo" : "photos"} ${where}`.trim();

/** The copy of a longitude that is nearest to another. */
const beside = (lon, centre) => lon + 360 * Math.round((centre - lon) / 360);

/** south, west, north, east as Leaflet wants them; beyond the date line longitudes run on. */
const corners = ([south, west, north, east]) => [[south, west], [north, east < west ? east + 360 : east]];

/** A ring that runs on beyond the date line; one around the pole is closed along the lower edge. */
function unrolled(points) {
  let turn = 0;
  const ring = points.map(([lat, lon], place) => {
    if (place) turn += 360 * Math.round((points[place - 1][1] - lon) / 360);
    return [lat, lon + turn];
  });
  const [first, last] = [ring[0][1], ring.at(-1)[1]];
  return Math.abs(last - first) < 180 ? ring : [...ring, [-89, last], [-89, first]];
}

/** The points [lat, lon] of a line in encoded polyline letters. */
function decoded(text, scale) {
  const points = [];
  const at = [0, 0];
  let [side, bits, value] = [0, 0, 0];
  for (let place = 0; place < text.length; place++) {
    const letter = text.charCodeAt(place) - 63;
    value |= (letter & 0x1f) << bits;
    bits += 5;
    if (letter >= 0x20) continue;
    at[side] += value & 1 ? ~(value >> 1) : value >> 1;
    if (side) points.push([at[1] / scale, at[0] / scale]);
    [side, bits, value] = [1 - side, 0, 0];
  }
  return points;
}

export default (props) => present(PhotoMap, props);
