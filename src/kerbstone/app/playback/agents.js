// Road users and lights, drawn over the road.

const TRAIL_SECONDS = 3;
const TWO_WHEELERS = new Set(['motorcycle', 'cyclist', 'bicycle', 'rider']);
const THINGS = new Set(['object', 'unknown']);
const ON_FOOT = new Set(['pedestrian', 'animal']);

const shapeOf = (kind) => {
  if (TWO_WHEELERS.has(kind.name)) return 'two-wheeler';
  if (ON_FOOT.has(kind.name)) return 'person';
  return THINGS.has(kind.name) ? 'thing' : 'vehicle';
};

const colourOf = (agent, app) => (agent.isEgo ? app.egoColour : agent.kind.colour);

// What is beneath comes first: things, then the rest, then ego, then the selected one.
function drawOrder(states, app) {
  const rank = ({ agent }) =>
    (agent.row === app.selected ? 8 : 0) + (app.roles.has(agent.row) ? 4 : 0) + (agent.isEgo ? 2 : 0) + (shapeOf(agent.kind) === 'thing' ? 0 : 1);
  return states.toSorted((a, b) => rank(a) - rank(b));
}

class AgentPainter {
  constructor(context, camera, app) {
    Object.assign(this, { context, camera, app });
  }

  // The factor by which an agent is drawn larger than it is, so that it can be seen from afar.
  enlargement(agent) {
    const least = agent.isEgo ? 12 : shapeOf(agent.kind) === 'thing' ? 3 : 6;
    return Math.max(1, least / (Math.max(agent.length, agent.width) * this.camera.scale));
  }

  draw(states) {
    const { context, camera, app } = this;
    const { colours, layers } = app;
    this.pixel = 1 / camera.scale;
    camera.useWorld(context, app.ratio);
    context.lineJoin = context.lineCap = 'round';
    if (layers.trails) this.drawTrails(states);
    const selected = states.find(({ agent }) => agent.row === app.selected);
    const chosen = app.scene.agents[app.selected];
    if (chosen) this.drawWay(chosen);
    for (const state of drawOrder(states, app)) {
      context.save();
      context.translate(state.x, state.y);
      this.drawAgent(state, colours);
      context.restore();
    }
    if (layers.velocity) states.forEach((state) => this.drawVelocity(state, colours));
    else if (selected) this.drawVelocity(selected, colours);
    camera.useScreen(context, app.ratio);
    this.drawLabels(states);
  }

  drawAgent(state, colours) {
    const { context, app, pixel } = this;
    const { agent } = state;
    const grown = this.enlargement(agent);
    const length = agent.length * grown;
    const width = agent.width * grown;
    const shape = shapeOf(agent.kind);
    const turned = Number.isFinite(state.heading);
    if (turned) context.rotate(state.heading);
    const body = outlineOf(shape, length, width, turned);
    if (agent.row === app.selected || agent.row === app.hovered) {
      const picked = agent.row === app.selected;
      this.strokeTwice(body, colours.pick, colours['pick-under'], picked ? 9 : 6, picked ? 5 : 3);
    }
    if (app.roles.has(agent.row) && agent.row !== app.selected) {
      this.strokeTwice(body, colours.mark, colours['pick-under'], 8, 3);
    }
    if (agent.isEgo) {
      context.strokeStyle = colours.halo;
      context.lineWidth = 6 * pixel;
      context.stroke(body);
    }
    context.fillStyle = colourOf(agent, app);
    context.strokeStyle = colours.outline;
    context.lineWidth = (agent.isEgo ? 2 : 1) * pixel;
    if (!agent.hasSize && !ON_FOOT.has(agent.kind.name)) context.setLineDash([3 * pixel, 2 * pixel]);
    context.fill(body);
    context.stroke(body);
    context.setLineDash([]);
    if (turned && Math.max(length, width) / pixel >= 7) this.drawFront(shape, length, width, agent, colours);
  }

  strokeTwice(path, over, under, outer, inner) {
    const { context, pixel } = this;
    context.strokeStyle = under;
    context.lineWidth = (outer + 2) * pixel;
    context.stroke(path);
    context.strokeStyle = over;
    context.lineWidth = outer * pixel;
    context.stroke(path);
    context.strokeStyle = under;
    context.lineWidth = inner * pixel;
    context.stroke(path);
  }

  // Which way it faces: a windscreen where there is room for one, else a line from the middle.
  drawFront(shape, length, width, agent, colours) {
    const { context, pixel } = this;
    const nose = length / 2;
    const side = width / 2;
    context.strokeStyle = context.fillStyle = colours.outline;
    context.lineWidth = Math.max(1.4 * pixel, 0.1);
    context.beginPath();
    if (agent.isEgo) {
      context.fillStyle = '#ffffff';
      const [tip, back, wing] = [0.36 * length, -0.3 * length, 0.62 * side];
      context.moveTo(tip, 0);
      context.lineTo(back, wing);
      context.lineTo(back + 0.14 * length, 0);
      context.lineTo(back, -wing);
      context.closePath();
      context.fill();
      return;
    }
    if (shape === 'vehicle' && agent.kind.name !== 'trailer' && length / pixel >= 14) {
      const depth = Math.min(0.16 * length, 0.9);
      const front = nose - Math.min(0.2 * length, 1.1);
      context.globalAlpha = 0.75;
      context.moveTo(front, 0.82 * side);
      context.lineTo(front, -0.82 * side);
      context.lineTo(front - depth, -0.66 * side);
      context.lineTo(front - depth, 0.66 * side);
      context.closePath();
      context.fill();
      context.globalAlpha = 1;
      return;
    }
    if (shape === 'thing') return;
    context.moveTo(0, 0);
    context.lineTo(shape === 'person' ? nose + 3 * pixel : nose, 0);
    context.stroke();
  }

  // Where everyone was in the last seconds, fading.
  drawTrails(states) {
    const { context, app, pixel } = this;
    const bands = 3;
    const reach = TRAIL_SECONDS / app.scene.dt;
    const now = Math.floor(app.time);
    context.lineWidth = 2 * pixel;
    for (const { agent, x, y } of states) {
      const start = Math.max(agent.first, Math.ceil(now - reach));
      context.strokeStyle = colourOf(agent, app);
      for (let band = 0; band < bands; band++) {
        const from = Math.round(start + ((now - start) * band) / bands);
        const to = Math.round(start + ((now - start) * (band + 1)) / bands);
        context.globalAlpha = 0.25 + 0.25 * band;
        context.beginPath();
        this.traceSteps(agent, from, to);
        if (band === bands - 1) context.lineTo(x, y);
        context.stroke();
      }
    }
    context.globalAlpha = 1;
  }

  // All of one agent's way: solid behind it, dotted before it.
  drawWay(agent) {
    const { context, app, pixel } = this;
    const now = Math.round(app.time);
    context.strokeStyle = app.colours.pick;
    context.lineWidth = 1.2 * pixel;
    context.beginPath();
    this.traceSteps(agent, agent.first, Math.min(now, agent.last));
    context.stroke();
    context.lineWidth = 2 * pixel;
    context.setLineDash([0.01 * pixel, 5 * pixel]);
    context.beginPath();
    this.traceSteps(agent, Math.max(now, agent.first), agent.last);
    context.stroke();
    context.setLineDash([]);
  }

  traceSteps(agent, from, to) {
    const { tracks } = this.app.scene;
    let isPenDown = false;
    for (let step = Math.max(from, agent.first); step <= to; step++) {
      const i = agent.base + step;
      if (!tracks.valid[i]) {
        isPenDown = false;
        continue;
      }
      if (isPenDown) this.context.lineTo(tracks.x[i] / 100, tracks.y[i] / 100);
      else this.context.moveTo(tracks.x[i] / 100, tracks.y[i] / 100);
      isPenDown = true;
    }
  }

  // Where its front would be in one second.
  drawVelocity({ agent, x, y, vx, vy }, colours) {
    const { context, pixel } = this;
    const speed = Math.hypot(vx, vy);
    const front = (agent.length / 2) * this.enlargement(agent);
    if (!(speed > 6 * pixel)) return;
    const [ux, uy] = [vx / speed, vy / speed];
    const [fx, fy] = [x + front * ux, y + front * uy];
    const head = 6 * pixel;
    const wing = (side) => [
      fx + vx - head * ux - (side * head * uy) / 2,
      fy + vy - head * uy + (side * head * ux) / 2,
    ];
    for (const [style, breadth] of [[colours['pick-under'], 4], [colours.pick, 1.8]]) {
      context.strokeStyle = style;
      context.lineWidth = breadth * pixel;
      context.beginPath();
      context.moveTo(fx, fy);
      context.lineTo(fx + vx, fy + vy);
      context.moveTo(...wing(1));
      context.lineTo(fx + vx, fy + vy);
      context.lineTo(...wing(-1));
      context.stroke();
    }
  }

  drawLabels(states) {
    const { context, app, camera } = this;
    context.font = '600 12px system-ui, sans-serif';
    context.textBaseline = 'middle';
    context.textAlign = 'center';
    const chosen = states.find(({ agent }) => agent.row === app.selected);
    for (const { agent, x, y, heading, vx, vy } of states) {
      const picked = agent.row === app.selected;
      const role = app.roles.get(agent.row);
      const isNamed = agent.isEgo || picked || role !== undefined;
      if (!isNamed && !(app.layers.ids && camera.scale >= 3)) continue;
      const speed = Math.hypot(vx, vy) * 3.6;
      const id = agent.isEgo ? 'ego' : shorten(agent.id);
      const name = role === undefined ? id : agent.isEgo ? `${role} (ego)` : role;
      const tellsSpeed = isNamed && Number.isFinite(speed);
      const text = tellsSpeed ? `${name}  ${Math.round(speed)} km/h` : name;
      const turn = Number.isFinite(heading) ? heading - camera.up : 0;
      const span = agent.length * Math.abs(Math.cos(turn)) + agent.width * Math.abs(Math.sin(turn));
      const reach = (span / 2) * this.enlargement(agent);
      const [sx, sy] = camera.toScreen(x, y);
      const side = role === undefined ? this.sideBeside(chosen, agent, sx, sy) : this.sideAmong(states, agent, sy);
      const top = sy + side * (reach * camera.scale + 12);
      const breadth = context.measureText(text).width + 10;
      context.fillStyle = app.colours.label;
      context.beginPath();
      context.roundRect(sx - breadth / 2, top - 9, breadth, 18, 5);
      context.fill();
      if (role !== undefined) {
        context.strokeStyle = app.colours.mark;
        context.lineWidth = 1.5;
        context.stroke();
      }
      context.fillStyle = agent.isEgo ? app.colours['ego-text'] : app.colours.text;
      context.fillText(text, sx, top + 0.5);
    }
  }

  // The ego's label goes below it where it would cover the selected one.
  sideBeside(chosen, agent, sx, sy) {
    if (!chosen || !agent.isEgo || chosen.agent === agent) return -1;
    const [px, py] = this.camera.toScreen(chosen.x, chosen.y);
    return Math.abs(px - sx) < 80 && sy - py > -10 && sy - py < 60 ? 1 : -1;
  }

  // Of those who take part in an event, the labels of the lower half of the picture go below.
  sideAmong(states, agent, sy) {
    const others = states.filter((state) => this.app.roles.has(state.agent.row) && state.agent !== agent);
    const above = others.filter(({ x, y }) => this.camera.toScreen(x, y)[1] < sy).length;
    return 2 * above > others.length ? 1 : -1;
  }

  // The agent under a point of the screen, the nearest first; small ones can be missed by a little.
  pick(states, sx, sy) {
    const [px, py] = this.camera.toWorld(sx, sy);
    const slack = 6 / this.camera.scale;
    let best = null;
    for (const state of states) {
      const { agent } = state;
      const grown = this.enlargement(agent);
      const heading = Number.isFinite(state.heading) ? state.heading : 0;
      const [cos, sin] = [Math.cos(heading), Math.sin(heading)];
      const [dx, dy] = [px - state.x, py - state.y];
      const along = Math.abs(dx * cos + dy * sin) - (agent.length / 2) * grown;
      const across = Math.abs(dy * cos - dx * sin) - (agent.width / 2) * grown;
      const outside = Math.hypot(Math.max(along, 0), Math.max(across, 0));
      const distance = outside || Math.max(along, across);
      if (outside <= slack && (!best || distance < best.distance)) best = { distance, agent };
    }
    return best?.agent ?? null;
  }

  drawLights(lights, step) {
    const { context, camera, app } = this;
    if (camera.scale < 1.5) return;
    camera.useWorld(context, app.ratio);
    context.lineCap = 'butt';
    for (const light of lights) {
      context.save();
      context.translate(light.x, light.y);
      if (Number.isFinite(light.heading)) context.rotate(light.heading);
      this.drawLight(light, light.lamps.map((states) => app.signals[states[step]]), step);
      context.restore();
    }
  }

  // A bar across the lane with a part for each lamp, and the lamps beyond it. Where there is no
  // room for all, there is one if all show the same, else none.
  drawLight({ heading, width, lamps }, shown, step) {
    const { context, camera, app } = this;
    const pixel = 1 / camera.scale;
    const isDark = Math.floor(step * app.scene.dt * 2) % 2 === 1;
    const colourOfLamp = ({ name, colour }) => (name.startsWith('flashing') && isDark ? app.colours.edge : colour);
    const share = width / lamps.length;
    const ahead = Math.max(1.1, Math.min(6 * pixel, 2));
    if (Number.isFinite(heading)) {
      context.lineWidth = Math.max(0.7, Math.min(3 * pixel, 1.2));
      shown.forEach((state, i) => {
        const left = width / 2 - i * share;
        context.strokeStyle = colourOfLamp(state);
        context.beginPath();
        context.moveTo(0, left - 0.06 * share);
        context.lineTo(0, left - 0.94 * share);
        context.stroke();
      });
    }
    const fits = share >= 8 * pixel;
    const all = fits ? shown : new Set(shown).size === 1 ? shown.slice(0, 1) : [];
    all.forEach((state, i) => {
      context.save();
      context.translate(ahead, fits ? width / 2 - (i + 0.5) * share : 0);
      drawLamp(context, state.name, colourOfLamp(state), app.colours.outline, pixel);
      context.restore();
    });
  }
}

// What a lamp shows can be told by its shape alone: red is round, yellow a square on its corner,
// green a triangle that points on, and a light that is off or not known a ring.
function drawLamp(context, name, colour, outline, pixel) {
  const r = Math.max(0.5, Math.min(4 * pixel, 1));
  context.beginPath();
  if (name.includes('green')) {
    context.moveTo(1.2 * r, 0);
    context.lineTo(-0.8 * r, r);
    context.lineTo(-0.8 * r, -r);
    context.closePath();
  } else if (name.endsWith('yellow')) {
    context.moveTo(1.2 * r, 0);
    context.lineTo(0, 1.2 * r);
    context.lineTo(-1.2 * r, 0);
    context.lineTo(0, -1.2 * r);
    context.closePath();
  } else {
    context.arc(0, 0, r, 0, 2 * Math.PI);
  }
  const isHollow = name === 'off' || name === 'unknown';
  context.lineWidth = (isHollow ? 2 : 1) * pixel;
  context.strokeStyle = isHollow ? colour : outline;
  context.fillStyle = colour;
  if (!isHollow) context.fill();
  context.stroke();
}

function outlineOf(shape, length, width, turned) {
  const path = new Path2D();
  if (shape === 'person' || !turned) {
    path.arc(0, 0, shape === 'person' ? Math.max(length, width) / 2 : width / 2, 0, 2 * Math.PI);
  } else if (shape === 'two-wheeler') {
    path.ellipse(0, 0, length / 2, width / 2, 0, 0, 2 * Math.PI);
  } else {
    const corner = shape === 'thing' ? 0 : Math.min(0.3 * width, 0.1 * length, 0.5);
    path.roundRect(-length / 2, -width / 2, length, width, corner);
  }
  return path;
}

const shorten = (id) => (id.length > 12 ? `${id.slice(0, 8)}…` : id);

// The picture of a kind in the legend.
function drawSwatch(kind, colour, isEgo) {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('viewBox', '-13 -8 26 16');
  svg.setAttribute('aria-hidden', 'true');
  const add = (tag, attributes) => {
    const part = document.createElementNS(space, tag);
    for (const [name, value] of Object.entries(attributes)) part.setAttribute(name, value);
    svg.append(part);
    return part;
  };
  const shape = shapeOf(kind);
  const look = { fill: colour, stroke: '#20262d', 'stroke-width': isEgo ? 1.6 : 1 };
  if (shape === 'person') add('circle', { r: 5, ...look });
  else if (shape === 'two-wheeler') add('ellipse', { rx: 9, ry: 3.6, ...look });
  else if (shape === 'thing') add('rect', { x: -5, y: -5, width: 10, height: 10, ...look });
  else {
    const half = { car: 10, trailer: 11 }[kind.name] ?? 12.5;
    add('rect', { x: -half, y: -5, width: 2 * half, height: 10, rx: 2, ...look });
    if (isEgo) add('path', { d: 'M6 0-6 3.4-3.6 0-6-3.4z', fill: '#ffffff', stroke: 'none' });
    else add('path', { d: `M${half - 4} -4v8l-3 -1v-6z`, fill: '#20262d', stroke: 'none', opacity: 0.75 });
  }
  if (shape === 'person' || shape === 'two-wheeler') add('path', { d: 'M0 0h7', stroke: '#20262d', 'stroke-width': 1.4 });
  return svg;
}
