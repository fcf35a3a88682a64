// One pixel: asked for by its number or by the address, copied; and a table of all pixels to keep.
// Each camera has `pixel_parts`, what is told of a pixel, and `csv_columns`, what is kept of all.

const place_of_pixel = () => element("one");

function show_pixel() {
  element("one").hidden = selected === null;
  if (selected === null) return;
  element("pixel").replaceChildren(...pixel_parts(current(), selected));
}

// A heading and paragraphs, made from texts.
function words_in(tag, text, name) {
  return Object.assign(document.createElement(tag), {textContent: text, className: name ?? ""});
}

function table_of(head, rows, caption) {
  const table = document.createElement("table");
  if (caption) table.createCaption().textContent = caption;
  if (head) table.createTHead().append(table_row("th", head));
  table.createTBody().append(...rows.map(texts => table_row("td", texts)));
  return table;
}

function link_to(address, words) {
  return Object.assign(document.createElement("a"), {href: address, textContent: words});
}

// --- the number and the address ---------------------------------------------------------------------

function ask(text) {
  const wanted = text.trim(), row = /^\d+$/.test(wanted) ? row_of.get(Number(wanted)) : undefined;
  if (row !== undefined) {
    element("said").textContent = "";
    select(row, true);
    return place_of_pixel().scrollIntoView();
  }
  const numbers = rising(camera.pixel), n = `${N} pixel${N === 1 ? "" : "s"}`;
  element("said").textContent = wanted && `There is no pixel ${wanted} on this page; it has ${n}, from ${numbers[0]} to ${numbers.at(-1)}.`;
}

const FIRST_EXPOSURE = shown_exposure();

function address_of(row) {
  const other = shown_exposure() === FIRST_EXPOSURE ? "" : `&exposure=${encodeURIComponent(current().name)}`;
  return `#pixel=${camera.pixel[row]}${other}`;
}

function write_address() {
  if (selected !== null) window.history.replaceState(null, "", address_of(selected));
}

// report.html#pixel=1234, or #pixel=1234&exposure=10ks
function follow_address() {
  const asked = new URLSearchParams(window.location.hash.slice(1)), pixel = asked.get("pixel");
  if (pixel === null) return;
  const index = data.exposures.findIndex(exposure => exposure.name === asked.get("exposure"));
  if (index >= 0 && element("exposure")) {
    element("exposure").value = String(index);
    show_exposure();
  }
  element("wanted").value = pixel;
  ask(pixel);
}

// --- taken along --------------------------------------------------------------------------------------

// What the panel says as text: cells of a row are apart by a tab, so that it can be pasted into a table.
function pixel_text() {
  const lines = Array.from(element("pixel").querySelectorAll("h3, caption, tr"), line =>
    line.cells ? Array.from(line.cells, cell => cell.textContent).join("\t") : line.textContent);
  return [...lines, window.location.href.split("#")[0] + address_of(selected)].join("\n") + "\n";
}

async function copy_pixel() {
  const text = pixel_text();
  try {
    await navigator.clipboard.writeText(text);
  } catch {  // a browser that does not allow it to a file: by way of a selection
    const box = Object.assign(document.createElement("textarea"), {value: text});
    element("one").append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
  }
  element("copied").textContent = "Copied.";
}

// A number for a program: as exact as the page knows it, nothing where there is none.
function csv_cell(value) {
  if (typeof value === "string") return /[",\n]/.test(value) ? `"${value.replaceAll("\"", "\"\"")}"` : value;
  return Number.isFinite(value) ? String(Number(value.toPrecision(7))) : "";
}

function csv_text() {
  const table = csv_columns(current());
  const lines = Array.from({length: N}, (_, row) => table.map(([, values]) => csv_cell(values[row])).join(","));
  return [table.map(([name]) => csv_cell(name)).join(","), ...lines].join("\n") + "\n";
}

function download_csv() {
  const address = URL.createObjectURL(new Blob([csv_text()], {type: "text/csv"}));
  const link = Object.assign(link_to(address, ""), {download: `${csv_name(current())}.csv`});
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

function listen_for_pixels() {
  element("ask").addEventListener("submit", event => {
    event.preventDefault();
    ask(element("wanted").value);
  });
  element("copy").addEventListener("click", copy_pixel);
  element("csv").addEventListener("click", download_csv);
  window.addEventListener("hashchange", follow_address);
}
