// What is held down, and which choice that means. Arrows, WASD and the space bar are buttons; the rest are letters.

const CODES = {
  ArrowLeft: "left", KeyA: "left",
  ArrowRight: "right", KeyD: "right",
  ArrowUp: "up", KeyW: "up",
  ArrowDown: "down", KeyS: "down",
  Space: "fire",
};
const GLYPHS = { left: "←", right: "→", up: "↑", down: "↓", fire: "space" };
const ORDER = ["left", "up", "down", "right", "fire"];

export function glyph(button) {
  return GLYPHS[button] ?? button.toUpperCase();
}

export class Keys {
  // choices: [{label, press}].    idle: the index that needs no key, or null.
  constructor(choices, idle) {
    this.choices = choices;
    this.idle = idle;
    this.buttons = [...new Set(choices.flatMap((choice) => choice.press))].sort(
      (a, b) => (ORDER.indexOf(a) + 1 || 99) - (ORDER.indexOf(b) + 1 || 99),
    );
    this.held = new Map(); // button -> when it went down, in that order
    this.tapped = []; // went down since the last step, perhaps up again
    this.last = idle ?? 0;
  }

  // The button that a key stands for here, or undefined.
  of(event) {
    const button = CODES[event.code] ?? event.key.toLowerCase();
    return this.buttons.includes(button) ? button : undefined;
  }

  down(button, now) {
    if (this.held.has(button)) return false;
    this.held.set(button, now);
    this.tapped.push(button);
    return true;
  }

  up(button) {
    this.held.delete(button);
  }

  release() {
    this.held.clear();
    this.tapped = [];
  }

  // Whether a key asks for a step: a fresh tap, or one held for longer than `patience` ms.
  asks(now, patience) {
    return this.tapped.length > 0 || [...this.held.values()].some((since) => now - since > patience);
  }

  // The choice that what is held means, or null: the most buttons win, then the latest.
  pressed() {
    const held = [...new Set([...this.tapped, ...this.held.keys()])];
    let best = null;
    let most = 0;
    this.choices.forEach(({ press }, index) => {
      if (!press.length || !press.every((button) => held.includes(button))) return;
      const score = press.length * 100 + Math.max(...press.map((button) => held.indexOf(button)));
      if (score >= most) [best, most] = [index, score];
    });
    return best;
  }

  // The choice for the step that is about to be taken.
  take() {
    const chosen = this.pressed() ?? this.idle ?? this.last;
    this.tapped = [];
    this.last = chosen;
    return chosen;
  }
}
