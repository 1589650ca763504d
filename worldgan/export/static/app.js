// Plays an exported model: keeps the last frames and actions, lets onnxruntime make the next frame, draws it.
import * as ort from "./ort/ort.js";

const BUTTONS = {
  ArrowLeft: "left", a: "left", ArrowRight: "right", d: "right", ArrowUp: "up", w: "up", ArrowDown: "down", s: "down",
  " ": "fire",
};
const SIGNS = { left: "←", right: "→", up: "↑", down: "↓", fire: "space" };
const BETWEEN = 1500; // milliseconds that the end of an episode is shown

const $ = (id) => document.getElementById(id);
const chance = () => Math.floor(Math.random() * 2 ** 24) / 2 ** 24; // as float32: Math.random() may round up to 1

const fetched = async (name) => {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return answer;
};

/** The model and where the game stands in it. */
class Game {
  constructor(card, session, starts) {
    Object.assign(this, { card, session, starts });
    [this.height, this.width, this.channels] = card.frame;
    this.size = this.height * this.width * this.channels;
    this.reset();
  }

  reset() {
    const length = this.card.context * this.size;
    const start = Math.floor(Math.random() * this.card.starts) * length;
    this.frames = this.starts.slice(start, start + length);
    this.actions = new Float32Array(this.card.context * this.card.choices[0].vector.length); // zeros: none was taken
    Object.assign(this, { steps: 0, reward: 0, over: false });
  }

  async step(vector) {
    const { context, chances } = this.card, { frames } = this;
    this.actions.copyWithin(0, vector.length);
    this.actions.set(vector, this.actions.length - vector.length);
    const noise = Float32Array.from({ length: chances }, chance);
    const next = await this.session.run({
      frames: new ort.Tensor("uint8", frames, [1, context, this.channels, this.height, this.width]),
      actions: new ort.Tensor("float32", this.actions, [1, context, vector.length]),
      noise: new ort.Tensor("float32", noise, [1, chances]),
    });
    if (frames !== this.frames) return; // a new game was begun meanwhile
    this.frames.copyWithin(0, this.size);
    this.frames.set(next.frame.data, this.frames.length - this.size);
    this.reward += next.reward.data[0];
    this.over = chance() < next.terminated.data[0];
    this.steps += 1;
  }

  /** The present frame as RGBA. */
  picture() {
    const area = this.height * this.width, image = new ImageData(this.width, this.height);
    const now = this.frames.subarray(this.frames.length - this.size);
    for (let pixel = 0; pixel < area; pixel++) {
      const at = 4 * pixel;
      for (let channel = 0; channel < this.channels; channel++) {
        const value = now[channel * area + pixel] / 255;
        // Clamped by the array itself.
        for (let hue = 0; hue < 3; hue++) image.data[at + hue] += value * this.card.palette[channel][hue];
      }
      image.data[at + 3] = 255;
    }
    return image;
  }
}

/** Which choice is made: a button held, else the keys held, else what the card says. */
class Controls {
  constructor({ choices, idle }, parent) {
    Object.assign(this, { choices, idle, last: idle ?? 0, held: new Set(), touched: null });
    this.buttons = choices.map((choice, index) => this.button(choice, index));
    parent.append(...this.buttons);
    addEventListener("keydown", (event) => this.key(event, true));
    addEventListener("keyup", (event) => this.key(event, false));
    addEventListener("blur", () => this.held.clear());
  }

  button({ label, press }, index) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: label });
    if (press.length) {
      const key = press.map((name) => SIGNS[name] ?? name.toUpperCase()).join(" ");
      button.append(Object.assign(document.createElement("kbd"), { textContent: key }));
    }
    button.addEventListener("pointerdown", () => { this.touched = index; });
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
      button.addEventListener(name, () => { this.touched = null; });
    }
    button.addEventListener("click", () => { this.next = index; }); // by keyboard or a short tap: for one step
    button.addEventListener("contextmenu", (event) => event.preventDefault());
    return button;
  }

  key(event, down) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.("select")) return;
    const name = BUTTONS[event.key] ?? event.key.toLowerCase();
    if (!this.choices.some(({ press }) => press.includes(name))) return;
    event.preventDefault();
    this.held[down ? "add" : "delete"](name);
    if (down) this.next = this.pressed();
  }

  /** The choice that takes most of the keys held. */
  pressed() {
    const able = this.choices.map(({ press }, index) => [press.every((name) => this.held.has(name)) * press.length, index]);
    const [keys, index] = able.reduce((best, each) => (each[0] > best[0] ? each : best), [0, null]);
    return keys ? index : null;
  }

  choose() {
    const chosen = this.touched ?? this.pressed() ?? this.next ?? this.idle ?? this.last;
    this.next = null;
    this.last = chosen;
    this.buttons.forEach((button, index) => button.setAttribute("aria-pressed", index === chosen));
    return this.choices[chosen].vector;
  }
}

/** Steps of the last second. */
class Clock {
  constructor() { this.times = []; }

  tick(began) {
    const now = performance.now();
    this.times = [...this.times.filter(([time]) => time > now - 1000), [now, now - began]];
  }

  get rate() {
    const since = this.times.length > 1 ? performance.now() - this.times[0][0] : Infinity;
    return (1000 * (this.times.length - 1)) / since;
  }

  get cost() { return this.times.reduce((sum, [, cost]) => sum + cost, 0) / Math.max(1, this.times.length); }
}

/** Let the page draw and hear; timers of 0 are held up for 4 ms by browsers, messages are not. */
const wait = (milliseconds) => new Promise((resolve) => {
  if (milliseconds > 4) return setTimeout(resolve, milliseconds);
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => { port1.close(); resolve(); };
  port2.postMessage(null);
});

function show(game, clock, brush) {
  brush.putImageData(game.picture(), 0, 0);
  $("reward").textContent = game.reward.toFixed(1).replace("-0.0", "0.0");
  $("steps").textContent = game.steps;
  $("rate").textContent = clock.rate.toFixed(clock.rate < 10 ? 1 : 0);
  $("cost").textContent = clock.cost.toFixed(1);
  $("over").hidden = !game.over;
  $("over").textContent = `Over, with reward ${game.reward.toFixed(1)}. A new game begins.`;
}

async function play(game, controls) {
  const brush = $("screen").getContext("2d"), clock = new Clock();
  let paused = false, last = 0;
  const reset = () => { game.reset(); show(game, clock, brush); };
  const pause = () => {
    paused = !paused;
    $("pause").setAttribute("aria-pressed", paused);
  };
  $("reset").onclick = reset;
  $("pause").onclick = pause;
  addEventListener("keydown", ({ key, repeat, ctrlKey, metaKey }) => {
    if (repeat || ctrlKey || metaKey) return;
    if (key === "r") reset();
    if (key === "p") pause();
  });
  show(game, clock, brush);
  for (;;) {
    const began = performance.now(), speed = Number($("speed").value);
    if (game.over && began - last > BETWEEN) reset();
    if (!game.over && !paused) {
      await game.step(controls.choose());
      clock.tick(began);
      last = performance.now();
      show(game, clock, brush);
    }
    const idle = game.over || paused ? 50 : 0;
    await wait(Math.max(idle, (speed && 1000 / speed) - (performance.now() - began)));
  }
}

async function main() {
  const card = await (await fetched("game.json")).json();
  $("title").textContent = card.title;
  document.title = `${card.title}, imagined`;
  [$("screen").height, $("screen").width] = card.frame;
  ort.env.wasm.numThreads = 1; // more need headers that a static host may not send
  ort.env.wasm.wasmPaths = { wasm: new URL("ort/ort.wasm", import.meta.url).href };
  const [model, starts] = await Promise.all(
    ["model.onnx", "starts.bin"].map(async (name) => new Uint8Array(await (await fetched(name)).arrayBuffer())),
  );
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  const game = new Game(card, session, starts);
  $("status").textContent = "";
  $("about").textContent = `Learnt from ${card.id} by worldgan ${card.version}, family ${card.family}. It runs in this browser, on one ` +
    "thread, by onnxruntime-web (MIT licence, Microsoft, in the folder ort); nothing is loaded from anywhere else.";
  await play(game, new Controls(card, $("choices")));
}

main().catch((error) => {
  const served = location.protocol === "file:" ? " Serve this folder over http, e.g. python -m http.server." : "";
  $("status").textContent = `The game cannot run here: ${error.message ?? error}.${served}`;
});
