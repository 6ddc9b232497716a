// Plans, drawn over the road and below the road users: the corridor, where others may be, the other
// ways, the plan in each mode and the fail-safe.

LAYERS.push(
  ['plan', 'Plan', 'P', true],
  ['failsafe', 'Fail-safe', 'S', true],
  ['reach', 'Reachable sets', 'U', true],
  ['others', 'Other ways', 'W', true],
  ['forecasts', 'Predictions', 'B', true],
  ['corridor', 'Corridor', 'C', true],
);

// What the colours mean; a page with more layers adds to it.
const PLAN_KEY = [
  ['failsafe', 'fail-safe, verified'],
  ['unverified', 'not verified'],
  ['reach-line', 'others may be'],
  ['other-way', 'other ways'],
  ['corridor-line', 'corridor'],
  ['forecast', 'others, predicted'],
  ['ego-text', 'speed, recorded'],
];

const SPEED_COLOURS = ['speed-0', 'speed-1', 'speed-2', 'speed-3'];

COLOURS.push(...SPEED_COLOURS, 'plan-band', 'failsafe', 'unverified', 'reach', 'reach-line', 'other-way', 'corridor', 'corridor-line', 'forecast');

async function openPlans(record) {
  const [poses, lines] = await Promise.all([unpackAll(record.poses), unpackAll(record.lines)]);
  let pose = 0;
  let point = 0;
  const take = (about) => {
    const path = [];
    for (const end = pose + about.count; pose < end; pose++) {
      path.push({
        x: poses.x[pose] / 100,
        y: poses.y[pose] / 100,
        heading: radians(poses.heading[pose]),
        speed: metres(poses.speed[pose]),
      });
    }
    return { ...about, path };
  };
  const takeLine = (count) => {
    const line = [];
    for (const end = point + count; point < end; point++) line.push([lines.x[point] / 100, lines.y[point] / 100]);
    return line;
  };
  const moments = record.moments.map((one) => ({
    ...one,
    branches: one.branches.map(take),
    others: one.others.map(take),
    failsafe: one.failsafe && take(one.failsafe),
    forecasts: one.forecasts.map(take),
    corridor: one.corridor.map(takeLine),
    reaches: one.reaches.map((reach) => ({ ...reach, area: closedPath(reach.rings.map(takeLine)) })),
    blind: one.blind.map((region) => {
      const rings = region.rings.map(takeLine);
      return { ...region, ring: rings[0], area: closedPath(rings) };
    }),
  }));
  const speeds = moments.flatMap(({ branches }) => branches.flatMap(({ path }) => path.map(({ speed }) => speed)));
  return { size: record.size, moments, fastest: Math.max(5, ...speeds) };
}

function closedPath(rings) {
  const path = new Path2D();
  for (const ring of rings) {
    ring.forEach(([x, y], i) => (i ? path.lineTo(x, y) : path.moveTo(x, y)));
    path.closePath();
  }
  return path;
}

// The pose at a time along a way, null before and after it.
function poseAt({ path, dt }, time) {
  const place = time / dt;
  const step = Math.min(Math.floor(place), path.length - 2);
  if (step < 0 || place > path.length - 1 + 1e-6) return null;
  const [a, b] = [path[step], path[step + 1]];
  const share = place - step;
  const turn = Math.atan2(Math.sin(b.heading - a.heading), Math.cos(b.heading - a.heading));
  const between = (name) => a[name] + share * (b[name] - a[name]);
  return { x: between('x'), y: between('y'), heading: a.heading + share * turn, speed: between('speed') };
}

class Plans {
  constructor(app) {
    this.app = app;
    this.panel = new PlanPanel(app, this);
  }

  // The plan in force: the last one made before the time shown.
  get moment() {
    const { scene, time } = this.app;
    const now = time * scene.dt + 1e-6;
    return scene.plans?.moments.findLast((one) => one.time <= now) ?? null;
  }

  // How long ago it was made [s].
  get elapsed() {
    return Math.max(this.app.time * this.app.scene.dt - this.moment.time, 0);
  }

  // Where to look first: at the first plan, all of it.
  frame() {
    const { app } = this;
    const { moments, size } = app.scene.plans;
    app.time = Math.min(Math.max(Math.round(moments[0].time / app.scene.dt), 0), app.scene.steps - 1);
    const box = new Box();
    for (const { path } of [...moments[0].branches, ...moments[0].others]) for (const { x, y } of path) box.add(x, y);
    const follow = app.follow;
    app.setFollow('none');
    app.camera.fit(box, 5 * size[0]);
    app.camera.scale = Math.min(app.camera.scale, 14);
    if (moments.length > 1) app.setFollow(follow);
  }

  // The colour of a speed [m/s].
  colourOf(speed) {
    const { app } = this;
    const place = (Math.min(Math.max(speed / app.scene.plans.fastest, 0), 1)) * (SPEED_COLOURS.length - 1);
    const low = Math.min(Math.floor(place), SPEED_COLOURS.length - 2);
    const [from, to] = [low, low + 1].map((i) => app.colours[SPEED_COLOURS[i]]);
    return `color-mix(in srgb, ${to} ${(100 * (place - low)).toFixed(0)}%, ${from})`;
  }

  draw({ context, camera, ratio }) {
    const { app, moment } = this;
    if (!moment) return;
    const { layers } = app;
    this.context = context;
    this.pixel = 1 / camera.scale;
    camera.useWorld(context, ratio);
    context.lineJoin = 'round';
    context.lineCap = 'butt';
    if (layers.corridor) this.drawCorridor(moment);
    if (layers.blind) drawBlind(this, moment);
    if (layers.reach) this.drawReaches(moment);
    if (layers.forecasts) moment.forecasts.forEach((one) => this.drawForecast(one, moment));
    if (layers.others) moment.others.forEach((other) => this.drawOther(other));
    if (layers.plan) this.drawPlan(moment);
    if (layers.failsafe && moment.failsafe) this.drawFailsafe(moment);
    if (layers.blind) drawMarks(this, moment);
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  trace(path) {
    const { context } = this;
    context.beginPath();
    path.forEach(({ x, y }) => context.lineTo(x, y));
  }

  // Its edges, dashed where the way is not known any more.
  drawCorridor({ corridor: [left, right], known }) {
    const { context, pixel, app } = this;
    context.fillStyle = app.colours.corridor;
    context.fill(closedPath([[...left, ...right.toReversed()]]));
    context.strokeStyle = app.colours['corridor-line'];
    context.lineWidth = 1.5 * pixel;
    for (const edge of [left, right]) {
      for (const [part, dash] of [[edge.slice(0, known), []], [edge.slice(Math.max(known - 1, 0)), [2 * pixel, 5 * pixel]]]) {
        context.setLineDash(dash);
        context.beginPath();
        part.forEach(([x, y]) => context.lineTo(x, y));
        context.stroke();
      }
    }
    context.setLineDash([]);
  }

  // One over the other: what is reached soon is darker. The interval shown now has an outline.
  drawReaches({ reaches }) {
    const { context, pixel, app, elapsed } = this;
    context.fillStyle = app.colours.reach;
    for (const { area } of reaches) context.fill(area, 'evenodd');
    const now = reaches.find(({ end }) => elapsed <= end + 1e-6);
    if (!now) return;
    context.strokeStyle = app.colours['reach-line'];
    context.lineWidth = 1.5 * pixel;
    context.stroke(now.area);
  }

  drawForecast(one, { branches }) {
    const { context, pixel, app } = this;
    context.globalAlpha = 0.35 + 0.65 * (branches[one.mode]?.weight ?? 1);
    context.strokeStyle = app.colours.forecast;
    context.lineWidth = 1.5 * pixel;
    context.setLineDash(one.mode ? [3 * pixel, 4 * pixel] : []);
    this.trace(one.path);
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  drawOther({ path }) {
    const { context, pixel, app } = this;
    this.trace(path);
    for (const [style, width] of [[app.colours['pick-under'], 4], [app.colours['other-way'], 2]]) {
      context.strokeStyle = style;
      context.lineWidth = width * pixel;
      context.setLineDash([7 * pixel, 4 * pixel]);
      context.stroke();
    }
    context.setLineDash([]);
    const end = path.at(-1);
    context.fillStyle = app.colours['other-way'];
    context.beginPath();
    context.arc(end.x, end.y, 3.5 * pixel, 0, 2 * Math.PI);
    context.fill();
  }

  // The most probable branch comes last, on top.
  drawPlan({ branches }) {
    const { context, pixel, app } = this;
    const { size } = app.scene.plans;
    const order = branches.toSorted((a, b) => a.weight - b.weight);
    context.strokeStyle = app.colours['plan-band'];
    context.lineWidth = size[1];
    this.trace(order.at(-1).path);
    context.stroke();
    for (const branch of order) {
      const { path, weight } = branch;
      const width = 3 + 3 * weight;
      this.trace(path);
      context.strokeStyle = app.colours['pick-under'];
      context.lineWidth = (width + 2.5) * pixel;
      context.stroke();
      context.lineWidth = width * pixel;
      for (let i = 1; i < path.length; i++) {
        context.strokeStyle = this.colourOf((path[i - 1].speed + path[i].speed) / 2);
        context.beginPath();
        context.moveTo(path[i - 1].x, path[i - 1].y);
        // A little further, so that no seam shows between two parts.
        const next = path[Math.min(i + 1, path.length - 1)];
        context.lineTo(path[i].x + 0.1 * (next.x - path[i].x), path[i].y + 0.1 * (next.y - path[i].y));
        context.stroke();
      }
      for (let second = 1; ; second++) {
        const pose = poseAt(branch, second);
        if (!pose) break;
        context.fillStyle = app.colours['pick-under'];
        context.beginPath();
        context.arc(pose.x, pose.y, 1.8 * pixel, 0, 2 * Math.PI);
        context.fill();
      }
    }
  }

  drawFailsafe({ failsafe, isVerified }) {
    const { context, pixel, app } = this;
    const { size } = app.scene.plans;
    const colour = app.colours[isVerified ? 'failsafe' : 'unverified'];
    this.trace(failsafe.path);
    for (const [style, width] of [[app.colours['pick-under'], 6], [colour, 3]]) {
      context.strokeStyle = style;
      context.lineWidth = width * pixel;
      context.setLineDash(isVerified ? [] : [5 * pixel, 4 * pixel]);
      context.stroke();
    }
    context.setLineDash([]);
    this.drawBox(failsafe.path.at(-1), size, colour, { dash: isVerified ? [] : [5, 4] });
  }

  drawBox(pose, [length, width], colour, { dash = [], fill = false } = {}) {
    if (!pose) return;
    const { context, pixel, app } = this;
    context.save();
    context.translate(pose.x, pose.y);
    context.rotate(Number.isFinite(pose.heading) ? pose.heading : 0);
    const body = outlineOf('vehicle', length, width, true);
    if (fill) {
      context.globalAlpha = 0.3;
      context.fillStyle = colour;
      context.fill(body);
      context.globalAlpha = 1;
    }
    context.strokeStyle = app.colours['pick-under'];
    context.lineWidth = 4 * pixel;
    context.stroke(body);
    context.strokeStyle = colour;
    context.lineWidth = 2 * pixel;
    context.setLineDash(dash.map((part) => part * pixel));
    context.stroke(body);
    context.restore();
  }

  // What would be where now, if all went as planned and predicted.
  drawGhosts({ branches, failsafe, forecasts, isVerified }) {
    const { app, elapsed } = this;
    const { layers, scene, colours } = app;
    this.ghosts = 0;
    if (elapsed < 0.05) return;
    if (layers.forecasts) {
      for (const one of forecasts) {
        this.drawBox(poseAt(one, Math.max(elapsed - one.dt, 0)), one.size, colours.forecast, { dash: one.mode ? [2, 4] : [4, 2] });
      }
    }
    if (layers.failsafe && failsafe) {
      this.drawBox(poseAt(failsafe, elapsed), scene.plans.size, colours[isVerified ? 'failsafe' : 'unverified'], { dash: [2, 2] });
    }
    if (layers.plan) {
      for (const branch of branches) this.drawBox(poseAt(branch, elapsed), scene.plans.size, colours['speed-2'], { fill: true });
    }
    const driven = [...branches, ...(failsafe ? [failsafe] : [])];
    this.ghosts = driven.filter((one) => poseAt(one, elapsed)).length;
  }

  // What stands above the road users: ghosts, and names at the ends of ways.
  drawOver({ context, camera, ratio }) {
    const { app, moment } = this;
    if (!moment) return;
    const { layers } = app;
    camera.useWorld(context, ratio);
    this.drawGhosts(moment);
    const named = [
      ...(layers.plan && moment.branches.length > 1 ? moment.branches : []),
      ...(layers.others ? moment.others.map(({ path, name }) => ({ path, name, note: '' })) : []),
      ...(layers.blind ? namesOfMarks(moment) : []),
    ];
    camera.useScreen(context, ratio);
    context.font = '600 12px system-ui, sans-serif';
    context.textBaseline = 'middle';
    context.textAlign = 'left';
    const taken = [];
    for (const { path, name, note } of named) {
      const [end, before] = [path.at(-1), path[Math.max(path.length - 8, 0)]];
      const [ex, ey] = camera.toScreen(end.x, end.y);
      const [bx, by] = camera.toScreen(before.x, before.y);
      const away = Math.max(Math.hypot(ex - bx, ey - by), 1e-6);
      const [ux, uy] = [(ex - bx) / away, (ey - by) / away];
      const text = `${name}  ${note}`.trim();
      const breadth = context.measureText(text).width;
      // Beyond the end of the branch, whichever way that points.
      const isLeft = ux <= -0.3;
      const x = ex + 14 * ux + (isLeft ? -breadth - 4 : 4);
      let y = ey + 14 * uy;
      while (taken.some(([tx, ty]) => Math.abs(tx - x) < breadth + 12 && Math.abs(ty - y) < 20)) y += uy > 0.3 ? 20 : -20;
      taken.push([x, y]);
      context.strokeStyle = app.colours.dim;
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(ex, ey);
      context.lineTo(isLeft ? x + breadth : x, y);
      context.stroke();
      context.fillStyle = app.colours.label;
      context.beginPath();
      context.roundRect(x - 5, y - 9, breadth + 10, 18, 5);
      context.fill();
      context.fillStyle = app.colours.text;
      context.fillText(text, x, y + 0.5);
    }
  }

  show() {
    this.panel.show(this.moment);
    document.body.dataset.ghosts = String(this.moment ? this.ghosts : 0);
  }
}
