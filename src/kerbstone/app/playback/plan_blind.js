// What the car does not see, on pages whose plans expect the unseen.

LAYERS.push(['blind', 'Not seen', 'H', true]);

COLOURS.push('blind', 'blind-line', 'blind-lane', 'blind-lane-line');

PLAN_KEY.push(['blind-line', 'not seen, on foot'], ['blind-lane-line', 'not seen, on lanes']);

const HATCH = 7;

// Slanted lines, as wide on the screen at every scale.
function hatchOf(context, colour, pixel) {
  const tile = document.createElement('canvas');
  tile.width = tile.height = HATCH * 2;
  const pen = tile.getContext('2d');
  pen.strokeStyle = colour;
  pen.lineWidth = 2;
  pen.lineCap = 'square';
  for (const shift of [-1, 0, 1]) {
    pen.beginPath();
    pen.moveTo((shift - 0.5) * HATCH * 2, HATCH * 2 * 1.5);
    pen.lineTo((shift + 1.5) * HATCH * 2, -HATCH * 2 * 0.5);
    pen.stroke();
  }
  const pattern = context.createPattern(tile, 'repeat');
  pattern.setTransform(new DOMMatrix().scale(pixel / 2));
  return pattern;
}

function drawBlind({ context, pixel, app }, { blind }) {
  const { colours } = app;
  const hatch = hatchOf(context, colours['blind-line'], pixel);
  const regions = blind.filter(({ name }) => !name);
  for (const { area, isLane } of regions) {
    context.fillStyle = isLane ? colours['blind-lane'] : colours.blind;
    context.fill(area, 'evenodd');
    if (isLane) continue;
    context.fillStyle = hatch;
    context.fill(area, 'evenodd');
  }
  context.strokeStyle = colours['blind-line'];
  context.lineWidth = pixel;
  for (const { area } of regions) context.stroke(area);
}

// From where one may come who stops the fail-safe, or steps out in the mode of that name.
function drawMarks({ context, pixel, app }, { blind }) {
  const { colours } = app;
  for (const { area, isBad } of blind.filter(({ name }) => name)) {
    context.lineJoin = 'round';
    context.strokeStyle = colours['pick-under'];
    context.lineWidth = 6 * pixel;
    context.stroke(area);
    context.strokeStyle = context.fillStyle = colours[isBad ? 'unverified' : 'blind-lane-line'];
    context.lineWidth = 3 * pixel;
    context.fill(area, 'evenodd');
    context.stroke(area);
  }
}

// Their names stand to the left.
function namesOfMarks({ blind }) {
  return blind.filter(({ name }) => name).map(({ ring, name }) => {
    const [x, y] = ring.reduce((best, point) => (point[0] < best[0] ? point : best));
    return { path: [{ x: x + 1, y: y - 0.5 }, { x, y }], name, note: '' };
  });
}
