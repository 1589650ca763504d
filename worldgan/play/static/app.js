// The page: one tab is one session on the server, which keeps all state of the game.

import { curves, difference, enlarge, fitting, picture, SHOWN } from "./draw.js";
import { glyph, Keys } from "./keys.js";
import { Wire } from "./wire.js";

const $ = (id) => document.getElementById(id);
const RARE = 0.01; // futures less probable are folded
const HOLD = 260; // ms that a key is held before it repeats, where time waits for keys

let hello; // what there is to play with
let keys;
let moment; // the present, as last told
let history = []; // [{step, reward, real, end, critic}] up to the present
let playing = false;
let begun = false; // whether a key or button has set time in motion since the page was loaded
let stopped = false; // by an end, so that a new start goes on by itself
let following = false; // an agent plays
let planned = null; // the step that the plan shown begins at
let looking = false; // the futures are open: shown anew whenever the play stands still
let backing = false; // the way back is held
let busy = false; // a step is on its way
let sentAt = 0;
let pressedAt = null; // when the key went down that no step has answered yet
let delays = [];
let drawnAt = [];
let resumedAt = 0;
let stale = false; // whether the curves are behind the play
let gaugedAt = 0;

const wire = new Wire(greeted, gone);

function greeted({ header, payload }) {
  if (header.type === "hello") return set(header);
  if (header.type === "moment") {
    document.body.dataset.state = "ready";
    return show({ header, payload });
  }
  document.body.dataset.state = header.type;
  say(header.message);
}

function gone() {
  if (document.body.dataset.state === "full") return;
  document.body.dataset.state = "gone";
  pause();
  say("The connection to the server is gone. Load this page again when it is back.");
}

function say(sentence) {
  $("notice").textContent = sentence;
  $("notice").hidden = !sentence;
}

// ---- what there is

function set(header) {
  hello = header;
  keys = new Keys(hello.choices, hello.idle);
  document.title = `${hello.env} - worldgan play`;
  $("env").textContent = hello.env;
  $("models").replaceChildren(...hello.models.map(modelButton));
  $("agents").replaceChildren(...hello.agents.map((name) => new Option(name === "cem" ? "cross-entropy" : name, name)));
  $("agents").value = "shooting";
  $("real-by").textContent = hello.real.here ? "same keys, its own chance" : "";
  $("real").hidden = !hello.real.here;
  $("real-absent").hidden = hello.real.here;
  $("real-absent").textContent = `Not here. ${hello.note}`;
  if (!hello.real.here) $("start").querySelector("[value=real]").remove();
  $("waits").checked = hello.idle === null;
  $("keys").replaceChildren(...keys.buttons.map(keyButton), ...idleKey());
  $("lower").classList.toggle("many", hello.choices.length > 4);
  if (hello.actions.kind === "box") sliders();
  fit();
}

function modelButton({ name, family }) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = name;
  button.title = `Imagine with ${name} from here on (M)`;
  button.dataset.model = name;
  button.dataset.family = family;
  button.onclick = () => command({ type: "switch", model: name });
  return button;
}

function keyButton(button) {
  const alone = hello.choices.find(({ press }) => press.length === 1 && press[0] === button);
  const key = document.createElement("button");
  key.type = "button";
  key.className = "key";
  key.dataset.button = button;
  key.innerHTML = '<span class="glyph"></span><span class="does"></span>';
  key.querySelector(".glyph").textContent = glyph(button);
  key.querySelector(".does").textContent = alone?.label ?? button;
  key.setAttribute("aria-label", `${alone?.label ?? button}, key ${glyph(button)}`);
  key.onpointerdown = (event) => {
    key.setPointerCapture(event.pointerId);
    press(button);
  };
  key.onpointerup = key.onpointercancel = () => release(button);
  key.onclick = (event) => {
    if (event.detail === 0) press(button), release(button); // Enter on the focused key
  };
  key.oncontextmenu = (event) => event.preventDefault();
  return key;
}

function idleKey() {
  if (hello.idle === null) return [];
  const key = document.createElement("div");
  key.className = "key nothing";
  key.dataset.button = "";
  key.innerHTML = '<span class="glyph">no key</span><span class="does"></span>';
  key.querySelector(".does").textContent = hello.choices[hello.idle].label;
  return [key];
}

function sliders() {
  $("sliders").hidden = false;
  $("sliders").replaceChildren(
    ...hello.actions.low.map((low, d) => {
      const label = document.createElement("label");
      const input = document.createElement("input");
      const value = document.createElement("output");
      const high = hello.actions.high[d];
      Object.assign(input, { type: "range", min: low, max: high, step: (high - low) / 200 });
      input.value = (low + high) / 2;
      input.oninput = () => (value.textContent = Number(input.value).toFixed(2));
      input.oninput();
      label.append("xyzuvw"[d] ?? String(d + 1), input, value);
      return label;
    }),
  );
}

// ---- time

// The action for the step to take now: keys first, then sliders.
function action() {
  const pressed = keys.pressed();
  const chosen = keys.take();
  if (pressed === null && !$("sliders").hidden) return [...$("sliders").querySelectorAll("input")].map((i) => Number(i.value));
  return hello.choices[chosen].action;
}

async function advance() {
  if (busy || document.body.dataset.state !== "ready") return;
  busy = true;
  sentAt = performance.now();
  const mark = pressedAt;
  pressedAt = null;
  const message = following ? { type: "agent", name: $("agents").value } : { type: "step", action: action() };
  const reply = await wire.ask(message);
  busy = false;
  show(reply);
  if (mark !== null) requestAnimationFrame(() => measured(performance.now() - mark));
  if (keys.tapped.length && !following) advance();
}

function tick(now) {
  requestAnimationFrame(tick);
  if (stale && now - gaugedAt > 100) gauges(); // ten times a second is enough for the eye
  if (!moment || now - sentAt < 1000 / Number($("speed").value) - 4) return;
  if (backing) {
    if (!busy) back();
  } else if (playing && (following || !$("waits").checked || keys.asks(now, HOLD))) advance();
}

async function back() {
  busy = true;
  sentAt = performance.now();
  const reply = await wire.ask({ type: "rewind", steps: 1 });
  busy = false;
  show(reply);
}

function resume() {
  begun = playing = true;
  resumedAt = performance.now();
  stopped = false;
  if (!following) looking = false;
  word();
}

function pause() {
  playing = following = false;
  word();
}

function word() {
  $("play-word").textContent = playing ? "Pause" : "Play";
  $("agent-word").textContent = following ? "Take over" : "Let it play";
  $("agent").setAttribute("aria-pressed", following);
  document.body.dataset.playing = playing;
  $("futures").classList.toggle("past", playing);
}

async function command(message) {
  show(await wire.ask(message));
}

async function newStart() {
  const again = playing || stopped;
  const agent = following;
  pause();
  keys.release();
  await command({ type: "reset", start: $("start").value });
  if (!again) return;
  following = agent;
  resume();
}

// Play, or let the agent play; after an end there is nothing to play but a new start.
async function goOn(agent = false) {
  if (!$("ended").hidden) await newStart();
  following = agent;
  resume();
}

function press(button) {
  const now = performance.now();
  if (!$("ended").hidden || !keys.down(button, now)) return; // after an end only what is asked for by name goes on
  const followed = following;
  pressedAt ??= now;
  mark();
  if (following) pause(); // a hand on the keys takes over
  if (!begun || followed) resume();
  advance();
}

function release(button) {
  keys?.up(button);
  mark();
}

function mark() {
  const held = keys.pressed() ?? keys.idle;
  const buttons = held === null ? [] : hello.choices[held].press;
  for (const key of $("keys").children) {
    const button = key.dataset.button;
    key.classList.toggle("held", button ? buttons.includes(button) : held === hello.idle);
  }
}

// ---- what is shown

function show({ header, payload }) {
  if (header.type === "error") {
    pause();
    return say(header.message);
  }
  if (header.type !== "moment") return;
  say("");
  const jumped = moment && header.step !== moment.step + 1;
  const back = moment && header.step < moment.step;
  if (jumped || !moment) history = history.filter(({ step }) => step < header.step);
  if (header.step === 0) history = [];
  if (header.step > 0) $("hint").hidden = true;
  moment = header;
  const images = split(payload);
  picture($("imagined"), images[0], hello.width, hello.height);
  if (header.real) picture($("real"), images[1], hello.width, hello.height);
  history.push({
    step: header.step,
    reward: header.reward,
    real: header.real?.reward ?? null,
    end: header.terminated,
    critic: header.realism === null ? null : 1 / (1 + Math.exp(-header.realism)),
  });
  history = history.slice(-SHOWN);
  numbers(header);
  if (header.plan) plan(header, [images[0], ...images.slice(header.real ? 2 : 1)]);
  planned = header.plan ? header.step : back ? null : planned;
  $("plan").classList.toggle("past", header.step !== planned);
  ended(header);
  stale = true;
  mark();
  if (looking && !playing && !busy) look();
  else $("futures").classList.add("past");
  document.body.dataset.step = header.step;
}

function split(payload) {
  const size = hello.width * hello.height * 3;
  return Array.from({ length: payload.length / size }, (_, i) => payload.subarray(i * size, (i + 1) * size));
}

function numbers(header) {
  for (const button of $("models").children) button.setAttribute("aria-pressed", button.dataset.model === header.model);
  $("by").textContent = `by ${header.model}`;
  $("score").textContent = number(header.total, 1);
  $("real-score").textContent = number(header.real?.total, 1);
  $("count").textContent = header.step;
  $("rewind").disabled = header.rewindable === 0;
  $("real-over").hidden = !header.real?.over;
  $("record").setAttribute("aria-pressed", header.recording);
  $("record-word").textContent = header.recording ? `Stop (${header.kept})` : "Record";
  for (const button of document.querySelectorAll(".save")) button.disabled = header.recording || !header.kept;
  $("model-ms").textContent = `${header.ms.toFixed(0)} ms${header.plan ? `, planning ${header.planning.toFixed(0)} ms` : ""}`;
  drawnAt = [...drawnAt.filter((time) => performance.now() - time < 1000), performance.now()];
  $("fps").textContent = pace();
}

// Pictures in the last second, and how many there should have been if the play falls behind.
function pace() {
  const wanted = Number($("speed").value);
  const runs = playing && (following || !$("waits").checked) && performance.now() - resumedAt > 1000;
  return runs && drawnAt.length < 0.9 * wanted ? `${drawnAt.length} of ${wanted} / s` : `${drawnAt.length} / s`;
}

function ended(header) {
  const over = header.terminated !== null && header.terminated >= 0.5 && header.step > 0;
  $("ended").hidden = !over;
  if (!over) return;
  $("ended").textContent = `It ends here, thinks the model (${Math.round(header.terminated * 100)}%)`;
  if (playing) {
    stopped = true;
    pause();
  }
}

function number(value, digits) {
  return value === null || value === undefined ? "–" : value.toFixed(digits).replace(/^-(0\.0*)$/, "$1");
}

function gauges() {
  stale = false;
  gaugedAt = performance.now();
  const column = (name) => history.map((each) => each[name]);
  const now = history.at(-1);
  $("reward-value").textContent = number(now.reward, 2);
  $("end-value").textContent = now.end === null ? "–" : `${(now.end * 100).toFixed(0)}%`;
  $("critic-value").textContent = opinion(now.critic);
  const shown = hello.real.here ? [{ values: column("real"), colour: "--real" }] : [];
  curves($("reward-line"), [...shown, { values: column("reward"), colour: "--imagined" }], [-1, 1], 0);
  curves($("end-line"), [{ values: column("end"), colour: "--imagined" }], [0, 1], 0.5);
  curves($("critic-line"), [{ values: column("critic"), colour: "--imagined" }], [0.49, 0.51], 0.5);
}

function opinion(critic) {
  if (!hello.models.find(({ name }) => name === moment.model).critic) return `${moment.model} has no critic`;
  if (critic === null) return "–";
  return critic >= 0.5 ? "looks real" : "looks made up";
}

function measured(delay) {
  delays = [...delays, delay].slice(-20);
  const median = [...delays].sort((a, b) => a - b)[Math.floor(delays.length / 2)];
  $("latency").textContent = `${median.toFixed(0)} ms`;
  $("latency").dataset.last = delay.toFixed(2);
  $("latency").dataset.count = Number($("latency").dataset.count ?? 0) + 1;
}

function fit() {
  if (!hello) return;
  for (const id of ["imagined", "real"]) {
    enlarge($(id), hello.width, hello.height, fitting($(id).parentElement, hello.width, hello.height));
  }
  if (moment) gauges();
}

// A picture of at most `side` pixels, less on a phone, if it does not have more itself.
function small(rgb, side = 128) {
  const canvas = document.createElement("canvas");
  picture(canvas, rgb, hello.width, hello.height);
  enlarge(canvas, hello.width, hello.height, Math.max(1, Math.floor((innerWidth > 700 ? side : 64) / hello.width)));
  return canvas;
}

// images: the present, and what follows each action of the plan.
function plan(header, images) {
  const words = ["now", ...header.plan];
  $("plan").replaceChildren(
    ...images.map((image, i) => {
      const figure = document.createElement("figure");
      const caption = document.createElement("figcaption");
      caption.textContent = words[i];
      figure.append(small(image, hello.choices.length > 4 ? 96 : 128), caption);
      return figure;
    }),
  );
  $("plan").style.setProperty("--side", $("plan").querySelector("canvas").style.width);
}

async function look() {
  looking = true;
  const { header, payload } = await wire.ask({ type: "futures", count: Number($("futures-count").value) });
  if (header.type === "error") return say(header.message);
  const images = split(payload);
  const columns = images.length / hello.choices.length;
  $("futures").replaceChildren(...hello.choices.map((_, row) => choiceRow(header, row, images.slice(row * columns, (row + 1) * columns))));
  $("futures").classList.toggle("past", playing || header.step !== moment.step);
}

function choiceRow(header, row, images) {
  const { label, press } = hello.choices[row];
  const section = document.createElement("section");
  section.className = "choice";
  const title = document.createElement("h3");
  title.textContent = label;
  for (const button of press) title.append(Object.assign(document.createElement("kbd"), { textContent: glyph(button) }));
  const branches = document.createElement("div");
  branches.className = "branches";
  const shown = (column) => branch(header, row, column, images);
  const chances = header.probability[row];
  const rare = [...chances.keys()].filter((column) => chances[column] > 0 && chances[column] < RARE);
  branches.append(...[...chances.keys()].filter((column) => chances[column] >= RARE).map(shown));
  if (rare.length) branches.append(more(rare.length, () => rare.map(shown)));
  section.append(title, branches);
  return section;
}

// What is too rare to be shown at once.
function more(count, branches) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "more", textContent: `${count} more below ${RARE * 100}%` });
  button.onclick = () => button.replaceWith(...branches());
  return button;
}

// images: of all that could follow, the likeliest first.
function branch(header, row, column, images) {
  const chance = header.probability[row][column];
  const button = document.createElement("button");
  button.type = "button";
  button.className = "branch";
  const bar = Object.assign(document.createElement("span"), { className: "bar" });
  bar.style.width = `${chance * 100}%`;
  const words = Object.assign(document.createElement("span"), { className: "chance", textContent: percent(chance) });
  const marks = [];
  if (Math.abs(header.reward[row][column]) >= 0.05) marks.push(`reward ${number(header.reward[row][column], 1)}`);
  if (header.terminated[row][column] >= 0.5) marks.push("ends");
  if (marks.length) words.append(" ", Object.assign(document.createElement("span"), { className: "marks", textContent: marks.join(", ") }));
  button.append(compared(images[column], images[0]), bar, words);
  button.setAttribute("aria-label", `${hello.choices[row].label}: ${percent(chance)} ${marks.join(", ")}. Go there`);
  button.onclick = () => {
    looking = true;
    command({ type: "go", choice: row, outcome: column });
  };
  return button;
}

// A small picture, with a box round what differs from another one.
function compared(image, other) {
  const canvas = small(image);
  const whole = document.createElement("span");
  whole.className = "picture";
  whole.append(canvas);
  const box = difference(image, other, hello.width);
  if (box) {
    const mark = Object.assign(document.createElement("span"), { className: "differs" });
    const scale = parseFloat(canvas.style.width) / hello.width;
    Object.assign(mark.style, Object.fromEntries(Object.entries(box).map(([side, pixels]) => [side, `${pixels * scale}px`])));
    whole.append(mark);
  }
  return whole;
}

function percent(chance) {
  return chance < RARE ? "<1%" : `${Math.round(chance * 100)}%`;
}

async function save(format) {
  say("Making the video...");
  const { header, payload } = await wire.ask({ type: "save", format });
  if (header.type === "error") return say(header.message);
  say("");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([payload]));
  link.download = header.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// ---- hands

const commands = {
  p: () => (playing ? pause() : goOn()),
  n: () => (pause(), (begun = true), advance()),
  r: newStart,
  b: () => (pause(), look()),
  g: () => (following ? pause() : goOn(true)),
  m: () => {
    const names = hello.models.map(({ name }) => name);
    command({ type: "switch", model: names[(names.indexOf(moment.model) + 1) % names.length] });
  },
  v: () => command({ type: "record", on: !moment.recording }),
  t: () => {
    const dark = document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    theme(dark === "dark" ? "light" : "dark");
  },
};

function theme(name) {
  document.documentElement.dataset.theme = name;
  localStorage.setItem("theme", name);
  if (moment) gauges();
}

function backward(on) {
  if (on) pause(), (begun = true);
  backing = on;
}

addEventListener("keydown", (event) => {
  if (!moment || event.ctrlKey || event.metaKey || event.altKey) return;
  const at = event.target.closest("select, input, button");
  if (at && (at.tagName !== "BUTTON" || event.code === "Space" || event.key === "Enter")) return; // theirs
  const button = keys.of(event);
  if (button) press(button);
  else if (event.key === "Backspace") backward(true);
  else if (commands[event.key.toLowerCase()]) event.repeat || commands[event.key.toLowerCase()]();
  else return;
  event.preventDefault();
});
addEventListener("keyup", (event) => {
  if (event.key === "Backspace") backward(false);
  const button = keys?.of(event);
  if (button) release(button);
});
addEventListener("blur", () => {
  keys?.release();
  backward(false);
});
// What was clicked gives the keyboard back to the game; what was reached with the tab key keeps it.
document.addEventListener("click", (event) => {
  if (event.detail > 0) event.target.closest("button:not(.why)")?.blur();
});

$("play").onclick = commands.p;
$("step").onclick = commands.n;
$("reset").onclick = commands.r;
$("look").onclick = commands.b;
$("agent").onclick = commands.g;
$("record").onclick = commands.v;
$("theme").onclick = commands.t;
$("rewind").onpointerdown = () => backward(true);
$("rewind").onclick = (event) => event.detail === 0 && command({ type: "rewind", steps: 1 });
addEventListener("pointerup", () => backing && backward(false));
$("start").onchange = newStart;
$("futures-count").onchange = () => looking && look();
for (const select of document.querySelectorAll("select")) select.addEventListener("change", () => select.blur());
for (const button of document.querySelectorAll(".save")) button.onclick = () => save(button.dataset.format);
for (const button of document.querySelectorAll(".why")) {
  button.onclick = () => {
    const text = $(button.getAttribute("aria-controls"));
    text.hidden = !text.hidden;
    button.setAttribute("aria-expanded", !text.hidden);
  };
}
for (const line of document.querySelectorAll(".line")) {
  line.onclick = (event) => {
    const index = Math.round((event.offsetX / line.clientWidth) * (SHOWN - 1));
    const steps = moment.step - (history[index]?.step ?? moment.step);
    if (steps > 0) pause(), command({ type: "rewind", steps: Math.min(steps, moment.rewindable || 1) });
  };
}

const kept = localStorage.getItem("theme");
if (kept) document.documentElement.dataset.theme = kept;
new ResizeObserver(fit).observe($("screens"));
requestAnimationFrame(tick);
