// Colours, axes and frames that all plots share.

const dark = window.matchMedia("screen and (prefers-color-scheme: dark)");
let printing = false;

// The colours of Okabe and Ito, darker on light ground and lighter on dark: apart for the colour-blind.
const LIGHT = {
  ink: "#1c2733", soft: "#556270", grid: "#dfe5ea", absent: "#a6aeb5", paper: "#ffffff",
  main: "#0072b2", second: "#b85000", mark: "#d55e00", band: ["rgba(0,114,178,.16)", "rgba(0,114,178,.34)"],
  energies: ["#0072b2", "#b37400", "#00805c", "#a84a80", "#4a4a4a"],
  signed: [[0, "#0067a5"], [.5, "#f7f7f7"], [1, "#b34700"]],
};
const DARK = {
  ink: "#e6ebf0", soft: "#a3b0bc", grid: "#313c46", absent: "#59636d", paper: "#14191f",
  main: "#6cbcf0", second: "#f0a63a", mark: "#ff8c3a", band: ["rgba(86,180,233,.22)", "rgba(86,180,233,.45)"],
  energies: ["#56b4e9", "#e69f00", "#2fc39a", "#dd92bd", "#f0e442"],
  signed: [[0, "#5cb8ff"], [.5, "#20262c"], [1, "#ff9a3d"]],
};
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "x"];
const theme = () => dark.matches && !printing ? DARK : LIGHT;

function axis(title, extra) {
  const {grid, soft} = theme();
  return {
    title: {text: title}, gridcolor: grid, zeroline: false, zerolinecolor: soft, linecolor: soft,
    ticks: "outside", ticklen: 4, tickcolor: grid, automargin: true, ...extra,
  };
}

// A logarithmic axis between two numbers, with ticks at 1, 2, 3 and 5 times the powers of ten.
function log_axis(title, low, high, text) {
  const values = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    values.push(...[1, 2, 3, 5].map(n => n * 10 ** power));
  }
  const shown = high / low > 300 ? values.filter(value => /^[13]/.test(value.toExponential())) : values;
  const range = [Math.log10(low), Math.log10(high)];
  return axis(title, {type: "log", range, tickvals: shown, ticktext: shown.map(text)});
}

function layout(heading, extra) {
  const {ink, paper} = theme();
  return {
    title: {text: heading, font: {size: 14}, x: 0, xanchor: "left", xref: "paper", y: .985, yanchor: "top"},
    font: {color: ink, size: 12, family: "system-ui, sans-serif"},
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: {t: 46, r: 12, b: 48, l: 58}, legend: {orientation: "h", y: -.2},
    hovermode: "closest", hoverlabel: {bgcolor: paper, bordercolor: ink, font: {color: ink}, align: "left"},
    ...extra,
  };
}

function curve(x, y, name, line, extra) {
  return {
    type: "scatter", mode: "lines", x, y, name, line,
    hovertemplate: `%{x:.4g}: %{y:.4g}<extra>${name}</extra>`, ...extra,
  };
}

// Lines that only guide the eye.
const guide = (x, y, line) => curve(x, y, "", line, {hoverinfo: "skip", hovertemplate: null, showlegend: false});

// Paper is narrower than a window, and Plotly does not hear of it: width and height by the place.
const PAPER_PX = [
  [".small-plots", 224, 130], [".small .map", 262, 250], [".map", 338, 318], [".two, .beside", 338, 225],
  ["#residuals", 690, 190], ["*", 690, 250],
];
// Of a plot that is as high as it has parts.
const PAPER_OF_SCREEN = .6;
const PAPER_FONT = {size: 9}, PAPER_LEGEND_PX = 15;

function on_paper(id, traces, frame) {
  const [, width, height] = PAPER_PX.find(([places]) => element(id).closest(places));
  // The legend has its own rows below the plot.
  const named = new Set(traces.filter(trace => trace.name && trace.showlegend !== false).map(trace => trace.name)).size;
  const below = named > 1 ? PAPER_LEGEND_PX * Math.ceil(named / (width > 400 ? 6 : 2)) : 0;
  const size = {width, height: MAPS.includes(id) ? map_height(height) : (PAPER_OF_SCREEN * parseFloat(element(id).style.height) || height) + below};
  const small = {font: {...frame.font, ...PAPER_FONT}, title: {...frame.title, font: {...frame.title.font, size: 10}}};
  const annotations = frame.annotations?.map(note => ({...note, font: {...note.font, size: 8}}));
  // The legend below all else: on paper there is less room under the axis.
  const legend = {orientation: "h", yref: "container", y: 0, yanchor: "bottom", font: {size: 8}};
  const margin = {...frame.margin, b: frame.margin.b + below};
  return {...size, ...small, legend, margin, ...(annotations ? {annotations} : {})};
}

function plot(id, traces, frame) {
  if (printing) Object.assign(frame, on_paper(id, traces, frame));
  element(id).querySelectorAll(":scope > .empty").forEach(words => words.remove());
  Plotly.react(element(id), traces, frame, {responsive: true, displayModeBar: false});
}

// Words in the place of a plot that has nothing to show.
function say(id, text) {
  const words = document.createElement("p");
  words.className = "empty";
  words.textContent = text;
  if (element(id).data) Plotly.purge(element(id));
  element(id).replaceChildren(words);
}
