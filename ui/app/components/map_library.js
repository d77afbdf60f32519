// What map.js draws with, put behind Leaflet (as `L`) and the world (as `WORLD`). It is a component
// of its own that shows nothing: Streamlit sends it to a page once, however often the map changes.
globalThis.tipsMap = { L, world: WORLD };
window.dispatchEvent(new Event("tips-map-ready"));

export default () => {};
