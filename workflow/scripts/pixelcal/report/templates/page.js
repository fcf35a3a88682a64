// What the reader does: choose, click, sort, search, print; and which plot is drawn when.

const PLOTS = Object.keys(draw);
const stale = new Set(), visible = new Set();

// A plot is drawn when it comes near the window: the page opens at once, whatever it holds.
function refresh(ids) {
  ids.forEach(id => {
    stale.add(id);
    if (visible.has(id) || printing) redraw(id);
  });
}

function redraw(id) {
  if (!stale.delete(id)) return;
  draw[id]();
  if (CLICKABLE.includes(id)) listen(element(id));
}

// A click on a pixel in a map, or on its point, chooses it.
function listen(place) {
  if (place.listens || !place.on) return;
  place.listens = true;
  place.on("plotly_click", ({points: [point]}) => {
    const row = point.customdata ?? camera.x.findIndex((x, i) => x === point.x && camera.y[i] === point.y);
    if (row >= 0) select(row, true);
  });
}

function sort_by(heading) {
  const table = heading.closest("table"), index = heading.cellIndex, body = table.tBodies[0];
  const down = heading.getAttribute("aria-sort") === "ascending";
  table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = row => row.cells[index].dataset.value;
  const numbers = Array.from(body.rows).every(row => !Number.isNaN(Number(value(row))));
  const compare = (a, b) => numbers ? value(a) - value(b) : value(a).localeCompare(value(b));
  body.append(...Array.from(body.rows).sort((a, b) => (down ? -1 : 1) * compare(a, b)));
}

// Rows of the pixels in question of the exposure that is shown, then of the good ones to compare with.
const rows_shown = () => ["pixels", "examples"].flatMap(table => Array.from(element(`${table}-${shown_exposure()}`)?.tBodies[0].rows ?? []));

function search() {
  const wanted = element("search").value.trim().toLowerCase(), is_number = /^\d+$/.test(wanted);
  const rows = rows_shown();
  // A whole number is a pixel: 17 is not to find 1700.
  const fits = row => is_number ? row.dataset.pixel === wanted : row.textContent.toLowerCase().includes(wanted);
  rows.forEach(row => { row.hidden = wanted !== "" && !fits(row); });
  element("found").textContent = `${rows.filter(row => !row.hidden).length} of ${rows.length}`;
}

function show_exposure() {
  const index = shown_exposure();
  for (const part of document.querySelectorAll(".of-exposure")) {
    part.classList.toggle("shown", part.dataset.exposure === index);
  }
  const listed = rows_shown().map(row => Number(row.dataset.pixel));
  const first = listed.find(pixel => current().fits[pixel].model) ?? listed[0];
  if (!by_hand) selected = row_of.get(first) ?? null;
  select(selected, false);
  if (by_hand) write_address();
  search();
  refresh(PLOTS);
}

function offer_quantities() {
  for (const group of new Set(quantities.map(quantity => quantity.group))) {
    const part = Object.assign(document.createElement("optgroup"), {label: group});
    const members = quantities.filter(quantity => quantity.group === group);
    part.append(...members.map(quantity => new Option(title_of(quantity), quantity.key)));
    element("quantity").append(part);
  }
  element("quantity").value = FIRST_QUANTITY;
}

function listen_to_reader() {
  element("exposure")?.addEventListener("change", show_exposure);
  element("quantity").addEventListener("change", () => refresh(["camera", "values"]));
  for (const name of BORDERS) element(`${name}s`).addEventListener("change", () => refresh(["camera"]));
  element("search").addEventListener("input", search);
  for (const button of document.querySelectorAll("table.sortable thead button")) {
    button.addEventListener("click", () => sort_by(button.closest("th")));
  }
  for (const row of document.querySelectorAll("tr[data-pixel]")) {
    const choose = () => select(row_of.get(Number(row.dataset.pixel)), true);
    row.addEventListener("click", choose);
    row.addEventListener("keydown", event => { if (event.key === "Enter") choose(); });
  }
  dark.addEventListener("change", () => refresh(PLOTS));
  // On paper there is nothing to click: what is folded is open.
  const print = now => {
    document.querySelectorAll("details").forEach(part => {
      if (now && !printing) part.dataset.open = part.open;
      part.open = now || part.dataset.open === "true";
    });
    printing = now;
    refresh(PLOTS);
  };
  window.addEventListener("beforeprint", () => print(true));
  window.addEventListener("afterprint", () => print(false));
}

for (const id of MAPS) if (element(id)) element(id).style.height = `${map_height(element(id).clientHeight)}px`;
offer_quantities();
listen_to_reader();
listen_for_pixels();
show_exposure();
const watch = new IntersectionObserver(entries => entries.forEach(({target: {id}, isIntersecting}) => {
  if (!isIntersecting) return visible.delete(id);
  visible.add(id);
  redraw(id);
}), {rootMargin: "400px"});
PLOTS.forEach(id => watch.observe(element(id)));
follow_address();
