// Pixels and curves.

// RGB bytes -> a canvas of that many pixels, enlarged by a whole number.
export function picture(canvas, rgb, width, height) {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    image.data[to] = rgb[from];
    image.data[to + 1] = rgb[from + 1];
    image.data[to + 2] = rgb[from + 2];
    image.data[to + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

const SEEN = 64; // of 255 levels: frames that differ by less count as the same future

// Where two pictures differ, in pixels: {left, top, width, height}, or null.
export function difference(one, other, width) {
  const across = [];
  const down = [];
  for (let at = 0; at < one.length; at++) {
    if (Math.abs(one[at] - other[at]) <= SEEN) continue;
    const pixel = Math.floor(at / 3);
    across.push(pixel % width);
    down.push(Math.floor(pixel / width));
  }
  if (!across.length) return null;
  const least = (numbers) => numbers.reduce((a, b) => Math.min(a, b));
  const range = (numbers) => numbers.reduce((a, b) => Math.max(a, b)) - least(numbers) + 1;
  return { left: least(across), top: least(down), width: range(across), height: range(down) };
}

export function enlarge(canvas, width, height, scale) {
  canvas.style.width = `${width * scale}px`;
  canvas.style.height = `${height * scale}px`;
}

// The largest whole number of times that a picture fits; at least once.
export function fitting(box, width, height) {
  return Math.max(1, Math.floor(Math.min(box.clientWidth / width, box.clientHeight / height)));
}

export const SHOWN = 120; // steps in a curve

// Curves over the last steps. series: [{values, colour}], null where nothing is known.
// range: [low, high], widened to what there is; middle: where a thin line goes.
export function curves(canvas, series, range, middle) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width) return;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const known = series.flatMap(({ values }) => values.filter((value) => value !== null));
  const low = Math.min(range[0], ...known);
  const high = Math.max(range[1], ...known);
  const y = (value) => height - 3 - ((value - low) / (high - low)) * (height - 6);
  const x = (index) => 1 + (index / (SHOWN - 1)) * (width - 2);
  const style = getComputedStyle(document.documentElement);
  context.strokeStyle = style.getPropertyValue("--line");
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(0, y(middle));
  context.lineTo(width, y(middle));
  context.stroke();
  for (const { values, colour } of series) {
    context.strokeStyle = style.getPropertyValue(colour);
    context.lineWidth = 1.75;
    context.lineJoin = "round";
    context.beginPath();
    let pen = false;
    values.forEach((value, index) => {
      if (value === null) {
        pen = false;
        return;
      }
      if (pen) context.lineTo(x(index), y(value));
      else context.moveTo(x(index), y(value));
      pen = true;
    });
    context.stroke();
  }
}
