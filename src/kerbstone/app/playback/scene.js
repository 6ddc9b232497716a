// A scene: its agents, and where each of them is at any time. Times are counted in steps.

class Scene {
  static async open(record, kinds) {
    const scene = new Scene();
    const [tracks, size, signals, road, plans] = await Promise.all([
      unpackAll(record.tracks),
      unpack(record.size),
      record.signals ? unpackAll(record.signals) : null,
      Road.open(record.road),
      record.plans ? openPlans(record.plans) : null,
    ]);
    Object.assign(scene, {
      record,
      road,
      tracks,
      plans,
      steps: record.steps,
      dt: record.dt,
      ego: record.ego,
      events: record.events,
      lights: signals ? readLights(signals, record.steps) : [],
    });
    let base = 0;
    scene.agents = record.ids.map((id, row) => {
      const kind = kinds[record.kind[row]];
      const length = metres(size[3 * row]);
      const width = metres(size[3 * row + 1]);
      const agent = {
        row,
        id,
        kind,
        label: record.labels[row],
        isEgo: row === record.ego,
        length: Number.isFinite(length) ? length : kind.size[0],
        width: Number.isFinite(width) ? width : kind.size[1],
        height: metres(size[3 * row + 2]),
        hasSize: Number.isFinite(length) && Number.isFinite(width),
        first: tracks.first[row],
        last: tracks.first[row] + tracks.count[row] - 1,
        base: base - tracks.first[row],
      };
      base += tracks.count[row];
      return agent;
    });
    return scene;
  }

  // The time at a step, from the start of the scene that this is a stretch of [s].
  clockAt(step) {
    return this.record.offset + step * this.dt;
  }

  isThere(agent, step) {
    return step >= agent.first && step <= agent.last && this.tracks.valid[agent.base + step] === 1;
  }

  // The state at a step, or between two steps where the agent is there at both; else null.
  stateAt(agent, time) {
    const step = Math.floor(time);
    if (!this.isThere(agent, step)) return null;
    const share = time - step;
    const state = this.stateAtStep(agent, step);
    if (share > 0 && this.isThere(agent, step + 1)) {
      const next = this.stateAtStep(agent, step + 1);
      state.x += share * (next.x - state.x);
      state.y += share * (next.y - state.y);
      const turn = next.heading - state.heading;
      if (Number.isFinite(turn)) state.heading += share * Math.atan2(Math.sin(turn), Math.cos(turn));
    }
    return state;
  }

  stateAtStep(agent, step) {
    const { x, y, heading, vx, vy } = this.tracks;
    const i = agent.base + step;
    return {
      agent,
      x: x[i] / 100,
      y: y[i] / 100,
      heading: radians(heading[i]),
      vx: metres(vx[i]),
      vy: metres(vy[i]),
    };
  }

  // Stretches without a gap, as pairs of first and last step.
  spans(agent) {
    const spans = [];
    let start = null;
    for (let step = agent.first; step <= agent.last + 1; step++) {
      const there = this.isThere(agent, step);
      if (there && start === null) start = step;
      if (!there && start !== null) {
        spans.push([start, step - 1]);
        start = null;
      }
    }
    return spans;
  }

  // Where anybody ever is; the road's surroundings where nobody is.
  bounds() {
    const box = new Box();
    const { x, y } = this.tracks;
    for (let i = 0; i < x.length; i++) box.add(x[i] / 100, y[i] / 100);
    return box.isEmpty ? this.road.box : box;
  }
}

// The lamps of one place side by side, each with what it shows at every step.
function readLights(signals, steps) {
  const lights = [];
  for (let row = 0; row < signals.x.length; row += signals.slots[row]) {
    lights.push({
      x: signals.x[row] / 100,
      y: signals.y[row] / 100,
      heading: radians(signals.heading[row]),
      width: metres(signals.width[row]),
      lamps: Array.from({ length: signals.slots[row] }, (_, i) =>
        signals.state.subarray((row + i) * steps, (row + i + 1) * steps),
      ),
    });
  }
  return lights;
}

class Box {
  constructor() {
    Object.assign(this, { left: Infinity, bottom: Infinity, right: -Infinity, top: -Infinity });
  }

  get isEmpty() {
    return this.left > this.right;
  }

  add(x, y) {
    if (x < this.left) this.left = x;
    if (x > this.right) this.right = x;
    if (y < this.bottom) this.bottom = y;
    if (y > this.top) this.top = y;
  }

  meets(other) {
    return (
      this.left <= other.right &&
      this.right >= other.left &&
      this.bottom <= other.top &&
      this.top >= other.bottom
    );
  }
}
