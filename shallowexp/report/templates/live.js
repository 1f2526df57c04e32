// The live network on the page: choices, buttons and the slider; the plane and the curves are drawn from kept states.

const byId = name => document.getElementById(`live-${name}`);
const { data, draws } = JSON.parse(byId("data").textContent);
const [form, plane, slider, status, hint] = ["choices", "plane", "slider", "status", "hint"].map(byId);
const calm = matchMedia("(prefers-reduced-motion: reduce)"), dark = matchMedia("(prefers-color-scheme: dark)");
const END = 20000, BUDGET = 12;  // steps; milliseconds to train in a frame
const PICTURE = 25, STILL = 500;  // milliseconds between pictures: every other frame, or where motion is to be reduced
const EVERY = 1.02;  // a state is kept as soon as this many times as many steps are done
const GRID = 60, SHADE = 0.42;
const small = new OffscreenCanvas(GRID, GRID), points = new OffscreenCanvas(1, 1);  // shades, a pixel for each point of the grid; the data's points
const NEEDS = { scale: ["constant", "random", "duplicate"], noise: ["duplicate"], seed: ["random", "duplicate"] };

let network, states, before = [], shown = 0, due = 0, playing = false, drawn = 0, reach;

const choice = () => Object.fromEntries([...form.elements].map(select => [select.name, select.value]));

function start() {
  const { activation, init, units, scale, noise, data: name, seed } = choice();
  const parameters = initial(init, +units, +scale, noise * scale, draws[seed]);
  network = new Network(data[name], parameters, ACTIVATIONS[activation]);
  [states, due] = [[], 0];
  keep();
}

function change() {
  if (states?.length > 1) before = states;
  for (const [name, needed] of Object.entries(NEEDS)) form.elements[name].disabled = !needed.includes(form.elements.init.value);
  start();
  resize();
  pause();
}

function keep() {  // the newest state always, older ones geometrically spaced
  if (states.at(-1)?.step === network.step) return;
  if (states.at(-1)?.passing) states.pop();
  const passing = network.step < due;
  if (!passing) due = Math.max(network.step + 1, Math.ceil(EVERY * network.step));
  states.push({ step: network.step, parameters: network.parameters.slice(), passing, ...network.measure() });
  shown = states.length - 1;
}

function train(steps) {
  const stop = performance.now() + BUDGET, rate = +form.elements.rate.value;
  for (let k = 0; k < steps && network.step < END && performance.now() < stop; k++) {
    network.descend(rate);
    if (network.step >= due) keep();
  }
  keep();
}

function frame(now) {
  if (!playing) return;
  const digits = String(network.step).length;
  train(+byId("speed").value);
  if (network.step >= END) return pause();
  if (now - drawn > (calm.matches ? STILL : PICTURE)) { drawn = now; draw(); }
  if (String(network.step).length > digits) tell();
  requestAnimationFrame(frame);
}

function play() {
  [playing, shown] = [true, states.length - 1];
  byId("play").textContent = "Pause";
  status.textContent = "Training.";
  requestAnimationFrame(frame);
}

function pause() {
  playing = false;
  byId("play").textContent = "Play";
  draw();
  tell();
}

function tell() {
  const { step, loss, accuracy, units, saturated } = states[shown], { n, activation } = network;
  const flat = activation.maxSlope ? `${percent(saturated)} of slopes are flat` : "its slopes are never flat";
  const same = n === 1 ? "1 hidden unit" : units === 1 ? `all ${n} hidden units are equal` : `${units} of ${n} hidden units differ`;
  status.textContent = `Step ${step}: loss ${loss.toFixed(3)} nats, accuracy ${percent(accuracy)}; ${same}; ${flat}.${step < END ? "" : " It ends here."}`;
}

const percent = fraction => `${Math.round(100 * fraction)}%`;

function draw() {
  drawPlane(states[shown]);
  const axis = before.length > states.length ? before : states, wide = Math.max(axis.length - 1, 1);
  const { step, loss, units, saturated } = states[shown], { n, activation } = network;
  for (const chart of document.querySelectorAll(".live-chart")) {
    const name = chart.dataset.measure, top = name === "units" ? Math.max(n, 2) : 1;
    const line = kept => kept.map((state, i) => `${100 * i / wide},${100 * (1 - state[name] / top)}`).join(" ");
    chart.querySelector(".now").setAttribute("points", line(states));
    chart.querySelector(".before").setAttribute("points", line(before));
    const cursor = chart.querySelector(".cursor");
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, 100 * shown / wide);
  }
  byId("loss").textContent = `${loss.toFixed(3)} nats`;
  byId("units").textContent = `${units} of ${n}`;
  byId("top").textContent = Math.max(n, 2);
  byId("saturated").textContent = activation.maxSlope ? percent(saturated) : "none";
  byId("step").textContent = `step ${step}`;
  [slider.max, slider.value] = [wide, shown];
  slider.setAttribute("aria-valuetext", `step ${step}`);
  const ticks = [0, 10, 100, 1000, 10000].map(tick => [tick, axis.findIndex(state => state.step >= tick)]);
  byId("ticks").replaceChildren(...ticks.filter(([tick, i]) => !tick || i / wide > 0.08 && i / wide < 0.96).map(([tick, i]) => {
    const label = document.createElement("span");
    label.textContent = tick.toLocaleString("en");
    label.style.left = `${100 * i / wide}%`;
    return label;
  }));
}

const colour = name => getComputedStyle(plane).getPropertyValue(`--${name}`).trim();
const places = size => [x => (x / reach + 1) * size / 2, y => (1 - y / reach) * size / 2];

function resize() {  // the points are drawn once, for all frames
  const size = plane.width = plane.height = points.width = points.height = Math.max(1, Math.round(plane.clientWidth * devicePixelRatio));
  const context = points.getContext("2d"), dot = 2.4 * size / 460, { X1, X2, Y } = network;
  reach = 1.08 * Math.max(...X1.map(Math.abs), ...X2.map(Math.abs));
  const [right, up] = places(size), [x, y] = [X1.map(right), X2.map(up)];
  context.lineWidth = 0.55 * dot;
  Y.forEach((label, i) => {
    context.fillStyle = context.strokeStyle = colour(`class${label}`);
    context.beginPath();
    if (!label) context.arc(x[i], y[i], dot, 0, 7);
    else for (const side of [-dot, dot]) { context.moveTo(x[i] - dot, y[i] - side); context.lineTo(x[i] + dot, y[i] + side); }
    if (label) context.stroke(); else context.fill();
  });
}

function drawPlane({ parameters: p }) {
  const { n, activation: { g } } = network, size = plane.width, context = plane.getContext("2d"), dot = size / 460;
  const middle = k => (2 * (k + 0.5) / GRID - 1) * reach;
  const grid = Float64Array.from({ length: GRID * GRID }, (_, k) => score(p, n, g, middle(k % GRID), -middle(Math.floor(k / GRID))));
  context.clearRect(0, 0, size, size);
  shade(context, size, grid, [colour("class0"), colour("class1")]);
  context.drawImage(points, 0, 0);
  context.setLineDash([]);
  [context.strokeStyle, context.lineWidth] = [colour("ink"), 1.6 * dot];
  contour(context, size / GRID, grid);
  drawUnits(context, p, ...places(size), dot);
}

function shade(context, size, grid, colours) {
  const image = new ImageData(GRID, GRID), rgb = colours.map(hex => [1, 3, 5].map(k => parseInt(hex.slice(k, k + 2), 16)));
  for (let k = 0; k < grid.length; k++) {
    image.data.set(rgb[+(grid[k] > 0)], 4 * k);
    image.data[4 * k + 3] = 255 * SHADE * Math.abs(2 * sigmoid(grid[k]) - 1);
  }
  small.getContext("2d").putImageData(image, 0, 0);
  context.drawImage(small, 0, 0, size, size);
}

function contour(context, cell, grid) {  // marching squares
  const corners = [0, 1, GRID + 1, GRID], across = [[0, 0], [1, 0], [1, 1], [0, 1]];
  context.beginPath();
  for (let row = 0; row < GRID - 1; row++)
    for (let column = 0; column < GRID - 1; column++) {
      const first = row * GRID + column, above = grid[first] > 0;
      if (corners.every(corner => grid[first + corner] > 0 === above)) continue;
      const z = corners.map(corner => grid[first + corner]), crossings = [];
      for (let a = 0; a < 4; a++) {
        const b = (a + 1) % 4, share = z[a] / (z[a] - z[b]);
        if (z[a] > 0 !== z[b] > 0) crossings.push([0, 1].map(k => across[a][k] + share * (across[b][k] - across[a][k])));
      }
      crossings.forEach(([x, y], k) => context[k % 2 ? "lineTo" : "moveTo"]((column + 0.5 + x) * cell, (row + 0.5 + y) * cell));
    }
  context.stroke();
}

function drawUnits(context, p, right, up, dot) {
  const { n, activation } = network, kinds = classes(p, n, activation.invariance);
  const [ink, ground] = ["unit", "ground"].map(colour);
  context.font = `600 ${14 * dot}px system-ui, sans-serif`;
  const write = (words, x, y) => {
    context.setLineDash([]);
    [context.strokeStyle, context.fillStyle, context.lineWidth] = [ground, ink, 4 * dot];
    context.strokeText(words, x, y);
    context.fillText(words, x, y);
  };
  for (const j of new Set(kinds)) {
    const [w1, w2, b] = [p[2 * j], p[2 * j + 1], p[3 * n + j]], norm = Math.hypot(w1, w2);
    const count = kinds.filter(kind => kind === j).length, units = `${count} ${count > 1 ? "units" : "unit"}`;
    if (!norm) { write(`${units} without a line: w = 0`, 10 * dot, 20 * dot); continue; }
    const [u1, u2] = [w1 / norm, w2 / norm];
    const line = (z, dash, width) => {
      const away = (z - b) / norm, far = Math.sqrt(2 * reach ** 2 - away ** 2);  // from the middle, and along the line to the corners' circle
      if (!(far > 0)) return;
      context.setLineDash(dash.map(length => length * dot));
      [context.strokeStyle, context.lineWidth] = [ink, width * dot];
      context.beginPath();
      context.moveTo(right(away * u1 - far * u2), up(away * u2 + far * u1));
      context.lineTo(right(away * u1 + far * u2), up(away * u2 - far * u1));
      context.stroke();
    };
    line(0, [], 2.2);
    for (const z of activation.steep ? [-activation.steep, activation.steep] : []) line(z, [1.5, 4], 1.1);
    if (count > 1) write(units, right(-b / norm * u1) + 8 * dot, up(-b / norm * u2) - 8 * dot);
  }
}

const chosen = () => `${new URLSearchParams(new FormData(form))}`;

function choose(query) {  // returns what it could not take
  const refused = [];
  form.reset();
  for (const [name, value] of new URLSearchParams(query)) {
    const select = form.elements[name];
    if ([...select?.options ?? []].some(option => option.value === value)) select.value = value;
    else refused.push(`${name}=${value}`);
  }
  return refused;
}

function fromAddress() {
  if (!location.hash.startsWith("#live&")) return;
  const earlier = chosen(), refused = choose(location.hash.slice(6));
  if (chosen() !== earlier) change();  // else the reader comes back to what was trained
  hint.textContent = refused.length ? `The address asks for ${refused.join(", ")}, which is not offered here.` : "";
  byId("title").scrollIntoView();
}

form.addEventListener("change", () => { hint.textContent = ""; change(); toAddress(); });
const toAddress = () => history.replaceState(null, "", `#live&${chosen()}`);
for (const button of document.querySelectorAll("[data-preset]"))
  button.addEventListener("click", () => { choose(button.dataset.preset); change(); hint.textContent = button.dataset.hint; toAddress(); });
byId("play").addEventListener("click", () => playing ? pause() : play());
byId("once").addEventListener("click", () => { train(1); pause(); });
byId("rewind").addEventListener("click", () => { start(); pause(); });
slider.addEventListener("input", () => { shown = Math.min(+slider.value, states.length - 1); pause(); });
for (const [target, event] of [[window, "resize"], [dark, "change"]]) target.addEventListener(event, () => { resize(); draw(); });
addEventListener("hashchange", fromAddress);
byId("needs").hidden = true;
byId("network").hidden = false;
change();
fromAddress();
