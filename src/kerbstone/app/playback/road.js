// The road: layers of lines and surfaces, drawn in metres from below to above.

const TILE = 150;

// Widths in metres; a line is never thinner on the screen than `px`, and not drawn below `from`
// pixels per metre, where it would only be noise.
const ROAD_LAYERS = [
  { name: 'drivable', fill: 'drivable' },
  { name: 'parking', fill: 'parking' },
  { name: 'driveway', fill: 'driveway' },
  { name: 'sidewalk', fill: 'sidewalk' },
  { name: 'rail', fill: 'rail' },
  { name: 'shoulder', fill: 'shoulder' },
  { name: 'lane', fill: 'lane' },
  { name: 'bus_lane', fill: 'bus-lane' },
  { name: 'bicycle_lane', fill: 'bicycle-lane' },
  { name: 'virtual', stroke: 'virtual', width: 0.08, px: 1, from: 4 },
  { name: 'border', stroke: 'border', width: 0.08, px: 0.8, from: 2 },
  { name: 'crosswalk', crossing: true },
  { name: 'edge', stroke: 'edge', width: 0.18, px: 1 },
  { name: 'speed_bump', fill: 'bump-area', stroke: 'bump', width: 0.3, px: 1, from: 1.5 },
  { name: 'white_dashed', stroke: 'white', width: 0.14, px: 1, dash: [3, 4.5], from: 2 },
  { name: 'white_solid', stroke: 'white', width: 0.14, px: 1, from: 1.2 },
  { name: 'yellow_dashed', stroke: 'yellow', width: 0.14, px: 1, dash: [3, 4.5], from: 1.5 },
  { name: 'yellow_solid', stroke: 'yellow', width: 0.14, px: 1, from: 1.2 },
  { name: 'stop_line', stroke: 'white', width: 0.4, px: 1.5, from: 2 },
];

class Road {
  get isEmpty() {
    return this.box.isEmpty;
  }

  static async open(layers) {
    const road = new Road();
    road.box = new Box();
    road.layers = {};
    road.lines = {};
    await Promise.all(
      Object.entries(layers).map(async ([name, packed]) => {
        road.lines[name] = splitLines(await unpackAll(packed), road.box);
      }),
    );
    for (const { name, fill } of ROAD_LAYERS) {
      if (road.lines[name]) road.layers[name] = makeTiles(road.lines[name], Boolean(fill));
    }
    const chevrons = (road.lines.centre ?? []).flatMap(placeChevrons);
    road.layers.direction = makeTiles(chevrons, false);
    return road;
  }

  draw(context, camera, colours, { directions }) {
    const view = camera.view();
    const pixel = 1 / camera.scale;
    context.lineJoin = 'round';
    context.lineCap = 'butt';
    for (const layer of ROAD_LAYERS) {
      const tiles = this.layers[layer.name]?.filter((tile) => tile.box.meets(view));
      if (!tiles?.length || camera.scale < (layer.from ?? 0)) continue;
      if (layer.crossing) this.drawCrossings(context, camera, colours, view);
      if (layer.fill) {
        // A hair's breadth of stroke closes the seams between neighbouring surfaces.
        context.fillStyle = context.strokeStyle = colours[layer.fill];
        context.lineWidth = pixel * 0.7;
        for (const { path } of tiles) {
          context.fill(path);
          context.stroke(path);
        }
      }
      if (layer.stroke) {
        context.strokeStyle = colours[layer.stroke];
        context.lineWidth = Math.max(layer.width, layer.px * pixel);
        context.setLineDash(layer.dash ?? []);
        for (const { path } of tiles) context.stroke(path);
        context.setLineDash([]);
      }
    }
    if (directions && camera.scale >= 4) {
      context.strokeStyle = colours.direction;
      context.lineWidth = Math.max(0.16, 1.2 * pixel);
      for (const { path, box } of this.layers.direction) if (box.meets(view)) context.stroke(path);
    }
    if (camera.scale >= 2.5) this.drawStopSigns(context, view);
  }

  // Stripes: the axis of a crosswalk as one broad dashed line, cut out by the crosswalk's outline.
  drawCrossings(context, camera, colours, view) {
    const stripes = camera.scale >= 3;
    this.crossings ??= this.lines.crosswalk.map((ring, i) => ({
      ...makeTiles([ring], true)[0],
      axis: makeTiles([this.lines.crosswalk_axis[i]], false)[0].path,
    }));
    for (const { path, box, axis } of this.crossings) {
      if (!box.meets(view)) continue;
      context.fillStyle = colours.crosswalk;
      context.fill(path);
      if (!stripes) continue;
      context.save();
      context.clip(path);
      context.strokeStyle = colours.white;
      context.lineWidth = 2 * Math.max(box.right - box.left, box.top - box.bottom);
      context.setLineDash([0.5, 0.5]);
      context.stroke(axis);
      context.restore();
    }
  }

  drawStopSigns(context, view) {
    for (const [[x, y]] of this.lines.stop_sign ?? []) {
      if (x < view.left || x > view.right || y < view.bottom || y > view.top) continue;
      context.beginPath();
      for (let i = 0; i < 8; i++) {
        const angle = ((i + 0.5) * Math.PI) / 4;
        context.lineTo(x + 0.8 * Math.cos(angle), y + 0.8 * Math.sin(angle));
      }
      context.closePath();
      context.fillStyle = '#c8102e';
      context.strokeStyle = '#ffffff';
      context.lineWidth = 0.15;
      context.fill();
      context.stroke();
    }
  }
}

// Where no road is shown, a grid shows that something moves.
function drawGrid(context, camera, colours) {
  const { left, right, bottom, top } = camera.view();
  const cell = [10, 50, 100, 500, 1000].find((metre) => metre * camera.scale >= 40) ?? 5000;
  context.beginPath();
  for (let x = Math.ceil(left / cell) * cell; x <= right; x += cell) {
    context.moveTo(x, bottom);
    context.lineTo(x, top);
  }
  for (let y = Math.ceil(bottom / cell) * cell; y <= top; y += cell) {
    context.moveTo(left, y);
    context.lineTo(right, y);
  }
  context.strokeStyle = colours.grid;
  context.lineWidth = 1 / camera.scale;
  context.stroke();
}

function splitLines({ count, x, y }, box) {
  let next = 0;
  return Array.from(count, (n) => {
    const line = [];
    for (const end = next + n; next < end; next++) {
      line.push([x[next] / 100, y[next] / 100]);
      box.add(x[next] / 100, y[next] / 100);
    }
    return line;
  });
}

// Join lines that start in the same square, so that what is out of sight costs nothing.
function makeTiles(lines, closed) {
  const tiles = new Map();
  for (const line of lines) {
    if (!line.length) continue;
    const key = `${Math.floor(line[0][0] / TILE)},${Math.floor(line[0][1] / TILE)}`;
    if (!tiles.has(key)) tiles.set(key, { path: new Path2D(), box: new Box() });
    const { path, box } = tiles.get(key);
    line.forEach(([x, y], i) => {
      if (i) path.lineTo(x, y);
      else path.moveTo(x, y);
      box.add(x, y);
    });
    if (closed) path.closePath();
  }
  return [...tiles.values()];
}

// Small arrows along a lane's centre line, in its direction.
function placeChevrons(line) {
  const spacing = 18;
  const chevrons = [];
  let length = 0;
  for (let i = 1; i < line.length; i++) {
    length += Math.hypot(line[i][0] - line[i - 1][0], line[i][1] - line[i - 1][1]);
  }
  const number = Math.max(Math.round(length / spacing), length > 5 ? 1 : 0);
  let next = length / number / 2;
  let passed = 0;
  for (let i = 1; i < line.length && chevrons.length < number; i++) {
    const [[ax, ay], [bx, by]] = [line[i - 1], line[i]];
    const part = Math.hypot(bx - ax, by - ay);
    while (part > 0 && next <= passed + part && chevrons.length < number) {
      const share = (next - passed) / part;
      const [ux, uy] = [(bx - ax) / part, (by - ay) / part];
      const [x, y] = [ax + share * (bx - ax), ay + share * (by - ay)];
      const wing = (side) => [x - 0.5 * ux - side * 0.45 * uy, y - 0.5 * uy + side * 0.45 * ux];
      chevrons.push([wing(1), [x + 0.3 * ux, y + 0.3 * uy], wing(-1)]);
      next += length / number;
    }
    passed += part;
  }
  return chevrons;
}
