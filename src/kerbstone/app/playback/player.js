// The player: what is shown, and everything that can be done to it.

const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 5, 10];

class Player {
  constructor(data) {
    Object.assign(this, {
      records: data.scenes,
      opened: [],
      kinds: data.kinds,
      signals: data.signals,
      egoColour: data.egoColour,
      layers: Object.fromEntries(LAYERS.map(([name, , , shown]) => [name, shown])),
      hidden: new Set(),
      time: 0,
      speed: 1,
      isPlaying: false,
      selected: null,
      hovered: null,
      event: null,
      roles: new Map(),
      follow: 'none',
      up: 'north',
    });
    this.picture = new Picture(this);
    this.panel = new Panel(this);
    this.traces = new Traces(this);
    this.matches = new Matches(this, data.matches);
    // Only a page with plans has what draws them.
    this.plans = typeof Plans === 'function' ? new Plans(this) : null;
  }

  get camera() {
    return this.picture.camera;
  }

  get colours() {
    return this.picture.colours;
  }

  get ratio() {
    return this.picture.ratio;
  }

  // Scene

  async openScene(index, link = {}) {
    this.pause();
    this.sceneIndex = index;
    // A quick reader may have chosen another scene before this one is unpacked.
    const scene = (this.opened[index] ??= await Scene.open(this.records[index], this.kinds));
    if (this.sceneIndex !== index) return;
    this.scene = scene;
    this.time = 0;
    this.selected = this.hovered = null;
    this.look(scene.events.find(({ plot }) => plot) ?? null);
    const slider = byId('slider');
    slider.max = scene.steps - 1;
    byId('scene').value = String(index);
    byId('follow').querySelector('[value=ego]').disabled = scene.ego === null;
    this.panel.showScene();
    this.picture.resize();
    this.frame();
    if (scene.plans) this.plans.frame();
    this.applyLink(link);
    this.isReady = true;
    this.refresh();
  }

  // The first look: around the ego where there is one, else everyone.
  frame() {
    const { camera, scene } = this;
    this.setUp('north');
    this.setFollow(scene.ego === null ? 'none' : 'ego');
    camera.fit(scene.bounds());
    if (scene.ego !== null) {
      camera.scale = Math.max(camera.scale, Math.min(camera.width, camera.height) / 110);
      this.holdTarget();
    }
  }

  applyLink(link) {
    const { camera, scene } = this;
    if (link.select) {
      const agent = scene.agents.find(({ id }) => id === link.select);
      if (agent) this.select(agent.row);
    }
    if (link.time !== undefined && link.time !== null) this.seek(link.time / scene.dt);
    if (['none', 'ego', 'selected'].includes(link.follow)) this.setFollow(link.follow);
    if (link.up === 'heading' || link.up === 'north') this.setUp(link.up);
    if (link.zoom > 0) camera.scale = Math.min(Math.max(link.zoom, SCALES[0]), SCALES[1]);
    if (typeof link.x === 'number' && typeof link.y === 'number') {
      camera.x = link.x - scene.record.origin[0];
      camera.y = link.y - scene.record.origin[1];
    }
  }

  // The scene that a link names, by its number from 1 or its id.
  findScene(name) {
    const byName = this.records.findIndex(({ id }) => id === name);
    const index = byName >= 0 ? byName : Number.parseInt(name, 10) - 1;
    return index >= 0 && index < this.records.length ? index : 0;
  }

  stepScene(direction) {
    const { length } = this.records;
    if (length > 1) this.openScene((this.sceneIndex + direction + length) % length);
  }

  // Time

  get step() {
    return Math.min(Math.max(Math.round(this.time), 0), this.scene.steps - 1);
  }

  seek(time) {
    const last = this.scene.steps - 1;
    this.time = Math.min(Math.max(this.isPlaying ? time : Math.round(time), 0), last);
    this.refresh();
  }

  stepBy(steps) {
    this.pause();
    this.seek(this.step + steps);
  }

  seconds(count) {
    return Math.max(Math.round(count / this.scene.dt), 1);
  }

  play() {
    if (this.scene.steps < 2) return;
    if (this.time >= this.scene.steps - 1) this.time = 0;
    this.isPlaying = true;
    this.lastFrame = null;
    this.refresh();
  }

  // A pause stands on a step, so that all that is shown is what was recorded.
  pause() {
    if (!this.isPlaying) return;
    this.isPlaying = false;
    this.time = this.step;
    this.refresh();
  }

  togglePlay() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  setSpeed(speed) {
    this.speed = speed;
    byId('speed').value = String(speed);
    this.refresh();
  }

  changeSpeed(direction) {
    const index = SPEEDS.indexOf(this.speed) + direction;
    this.setSpeed(SPEEDS[Math.min(Math.max(index, 0), SPEEDS.length - 1)]);
  }

  // Selection

  select(row) {
    this.selected = row;
    this.panel.showPresence();
    const agent = this.scene.agents[row];
    if (agent) this.say(this.describe(agent));
    if (!agent && this.follow === 'selected') this.setFollow('none');
    this.refresh();
  }

  // Select by id, and go to where the agent is there.
  find(id) {
    const agent = this.scene.agents.find((one) => one.id === id);
    if (!agent) return;
    this.select(agent.row);
    if (!this.scene.isThere(agent, this.step)) this.seek(agent.first);
    this.show(agent);
  }

  // The next agent by distance from ego, or from the middle of the picture.
  cycle(direction) {
    const states = this.visible(this.step);
    if (!states.length) return;
    const anchor = states.find(({ agent }) => agent.isEgo) ?? this.camera;
    const away = ({ x, y }) => Math.hypot(x - anchor.x, y - anchor.y);
    const rows = states.toSorted((a, b) => away(a) - away(b)).map(({ agent }) => agent.row);
    const place = rows.indexOf(this.selected);
    const next = place < 0 ? (direction > 0 ? 0 : rows.length - 1) : place + direction;
    this.select(rows[(next + rows.length) % rows.length]);
    this.show(this.scene.agents[this.selected]);
  }

  // Move the picture if an agent is out of it.
  show(agent) {
    if (!this.scene.isThere(agent, this.step) || this.isInPicture(agent)) return;
    this.setFollow('none');
    const { x, y } = this.scene.stateAtStep(agent, this.step);
    Object.assign(this.camera, { x, y });
    this.refresh();
  }

  isInPicture(agent) {
    const { x, y } = this.scene.stateAtStep(agent, this.step);
    const [sx, sy] = this.camera.toScreen(x, y);
    const { width, height } = this.camera;
    return sx > 30 && sy > 30 && sx < width - 30 && sy < height - 30;
  }

  // Mark who takes part in an event, and show how it went.
  look(event) {
    this.event = event;
    this.roles = new Map();
    event?.roles.forEach((role, place) => {
      const agent = this.scene.agents.find(({ id }) => id === event.agents[place]);
      if (agent) this.roles.set(agent.row, role);
    });
  }

  goToEvent(event) {
    this.pause();
    this.look(event);
    const agents = event.agents.map((id) => this.scene.agents.find((agent) => agent.id === id));
    this.seek(event.start / this.scene.dt);
    if (agents[0]) this.select(agents[0].row);
    this.holdTarget();
    const there = agents.filter((agent) => agent && this.scene.isThere(agent, this.step));
    const isInFull = event.roles.length === 0 && there.every((agent) => this.isInPicture(agent));
    if (!isInFull) this.frameEvent(event, agents);
  }

  // Show all ways of those who take part in an event, while it lasts.
  frameEvent(event, agents) {
    const { scene, camera } = this;
    const box = new Box();
    const last = Math.min(Math.ceil(event.end / scene.dt), scene.steps - 1);
    for (const agent of agents.filter(Boolean)) {
      for (let step = this.step; step <= last; step++) {
        if (scene.isThere(agent, step)) {
          const { x, y } = scene.stateAtStep(agent, step);
          box.add(x, y);
        }
      }
    }
    const { scale } = camera;
    this.setFollow('none');
    this.setUp('north');
    camera.fit(box, 15);
    camera.scale = Math.min(camera.scale, Math.max(scale, event.roles.length ? 14 : 6));
    this.refresh();
  }

  stepEvent(direction) {
    if (this.matches.lines.length) {
      this.matches.step(direction);
      return;
    }
    const now = this.step * this.scene.dt;
    const { events } = this.scene;
    const half = this.scene.dt / 2;
    const event = direction > 0
      ? events.find(({ start }) => start > now + half)
      : events.findLast(({ start }) => start < now - half);
    if (event) this.goToEvent(event);
  }

  // View

  setFollow(target) {
    this.follow = target;
    byId('follow').value = target;
    this.holdTarget();
    this.refresh();
  }

  cycleFollow() {
    const choices = ['none', ...(this.scene.ego === null ? [] : ['ego']), ...(this.selected === null ? [] : ['selected'])];
    this.setFollow(choices[(choices.indexOf(this.follow) + 1) % choices.length]);
  }

  setUp(up) {
    this.up = up;
    if (up === 'north') this.camera.up = Math.PI / 2;
    byId('up').setAttribute('aria-pressed', String(up === 'heading'));
    this.refresh();
  }

  toggleUp() {
    this.setUp(this.up === 'north' ? 'heading' : 'north');
  }

  fit() {
    this.setFollow('none');
    this.setUp('north');
    this.camera.fit(this.scene.bounds());
    this.refresh();
  }

  zoom(factor, sx, sy) {
    if (this.follow === 'none') this.camera.zoom(factor, sx, sy);
    else this.camera.zoom(factor);
    this.refresh();
  }

  pan(dx, dy) {
    this.setFollow('none');
    this.camera.pan(dx, dy);
    this.refresh();
  }

  toggleLayer(name) {
    this.layers[name] = !this.layers[name];
    this.refresh();
  }

  toggleKind(name) {
    if (!this.hidden.delete(name)) this.hidden.add(name);
    this.refresh();
  }

  toggleTheme() {
    const root = document.documentElement.style;
    const isDark = root.colorScheme
      ? root.colorScheme === 'dark'
      : matchMedia('(prefers-color-scheme: dark)').matches;
    root.colorScheme = isDark ? 'light' : 'dark';
    this.picture.readColours();
    this.refresh();
  }

  // Drawing

  visible(time) {
    const states = [];
    for (const agent of this.scene.agents) {
      if (this.hidden.has(agent.isEgo ? 'ego' : agent.kind.name)) continue;
      const state = this.scene.stateAt(agent, time);
      if (state) states.push(state);
    }
    return states;
  }

  // Keep the camera on what it follows; where that is not there, it stays where it was.
  holdTarget() {
    const { camera, scene } = this;
    const followed = { ego: scene.agents[scene.ego], selected: scene.agents[this.selected] }[this.follow];
    const state = followed && scene.stateAt(followed, this.time);
    if (state) Object.assign(camera, { x: state.x, y: state.y });
    camera.focus = this.up === 'heading' && followed ? 0.66 : 0.5;
    if (this.up !== 'heading') return;
    const leader = followed ?? scene.agents[scene.ego] ?? scene.agents[this.selected];
    const heading = leader && scene.stateAt(leader, this.time)?.heading;
    if (Number.isFinite(heading)) camera.up = heading;
  }

  refresh() {
    if (!this.scene || this.pending) return;
    this.pending = true;
    requestAnimationFrame((now) => {
      this.pending = false;
      this.advance(now);
      this.draw();
    });
  }

  advance(now) {
    if (!this.isPlaying) return;
    const elapsed = this.lastFrame === null ? 0 : Math.min(now - this.lastFrame, 250);
    this.lastFrame = now;
    this.time += (elapsed / 1000 / this.scene.dt) * this.speed;
    const last = this.scene.steps - 1;
    if (this.time >= last) {
      this.time = last;
      this.isPlaying = false;
    }
    this.refresh();
  }

  draw() {
    const { step } = this;
    this.holdTarget();
    this.states = this.visible(this.time);
    this.picture.draw(this.states);
    this.showTime(step);
    this.panel.showStep(step);
    this.traces.show(this.event);
    this.traces.draw(step);
    this.matches.showCurrent();
    this.plans?.show();
    if (!this.isPlaying) this.publish(step);
  }

  showTime(step) {
    const { scene } = this;
    const digits = scene.dt < 0.095 ? 2 : 1;
    const last = scene.steps - 1;
    const slider = byId('slider');
    if (Number(slider.value) !== step) slider.value = String(step);
    slider.style.setProperty('--played', `${(100 * step) / Math.max(last, 1)}%`);
    slider.setAttribute('aria-valuetext', `${scene.clockAt(step).toFixed(digits)} seconds`);
    const clock = byId('clock');
    if (!clock.children.length) clock.replaceChildren(make('span'), make('small'));
    const [seconds, count] = clock.children;
    setText(seconds, `${scene.clockAt(step).toFixed(digits)} / ${scene.clockAt(last).toFixed(digits)} s`);
    setText(count, `step ${step + 1} of ${scene.steps}`);
    clock.title = `${BigInt(scene.record.startNs) + BigInt(Math.round(scene.dt * 1e9)) * BigInt(step)} ns`;
    const play = byId('play');
    play.setAttribute('aria-pressed', String(this.isPlaying));
    play.setAttribute('aria-label', this.isPlaying ? 'Pause' : 'Play');
  }

  // Tell the address bar, and whoever drives the page from outside, what is shown.
  publish(step) {
    const { scene } = this;
    clearTimeout(this.linkTimer);
    if (this.isReady) this.linkTimer = setTimeout(() => writeLink(this), 150);
    Object.assign(document.body.dataset, {
      ready: String(Boolean(this.isReady)),
      scene: scene.record.id,
      step: String(step),
      drawn: String(this.states.length),
      selected: scene.agents[this.selected]?.id ?? '',
      follow: this.follow,
      up: this.up,
      speed: String(this.speed),
    });
  }

  describe(agent) {
    const name = agent.isEgo ? 'ego' : `${agent.kind.name} ${agent.id}`;
    if (!this.scene.isThere(agent, this.step)) return `${name}, not there now`;
    const { vx, vy } = this.scene.stateAtStep(agent, this.step);
    const speed = Math.hypot(vx, vy) * 3.6;
    return Number.isFinite(speed) ? `${name}, ${Math.round(speed)} kilometres per hour` : name;
  }

  say(text) {
    setText(byId('say'), text);
  }
}
