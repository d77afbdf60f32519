// A picture from a file, the clipboard or a drop, reduced here so that little is sent.

const SIDE = 1024; // pixels: more than any encoder sees of a query
const MOST_BYTES = 25e6; // of a file that this browser cannot reduce

async function reduced(file) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // under what is transparent
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas.toDataURL("image/jpeg", 0.92);
}

function asIs(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

async function take(zone, file) {
  if (!file) return zone.say("There is no picture in that.");
  zone.say("Reading the picture …");
  let data;
  try {
    data = await reduced(file);
  } catch {
    // HEIC and camera files are read by the server.
    if (file.size > MOST_BYTES) return zone.say("That file is larger than 25 MB; take a smaller one.");
    data = await asIs(file);
  }
  zone.say("");
  tellPython(zone.setStateValue, "picture", "", data);
}

function made(root) {
  const zone = root.querySelector(".zone");
  const input = root.querySelector("input");
  zone.onclick = () => input.click();
  input.onchange = () => {
    take(zone, input.files[0]);
    input.value = "";
  };
  const over = (on) => (event) => {
    event.preventDefault();
    zone.classList.toggle("over", on);
  };
  zone.ondragenter = over(true);
  zone.ondragover = over(true);
  zone.ondragleave = over(false);
  zone.ondrop = (event) => {
    over(false)(event);
    take(zone, event.dataTransfer.files[0]);
  };
  zone.say = (sentence) => (root.querySelector(".said").textContent = sentence);
  return zone;
}

export default function ({ parentElement, setStateValue }) {
  const root = parentElement.querySelector(".root");
  const zone = root.zone ?? (root.zone = made(root));
  zone.setStateValue = setStateValue;
  const paste = (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    take(zone, file);
  };
  document.addEventListener("paste", paste);
  return () => document.removeEventListener("paste", paste);
}
