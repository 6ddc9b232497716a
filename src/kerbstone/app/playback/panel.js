// What stands beside the picture: selection, events, legend, layers, scene. Text from the data
// goes in as text, never as markup.

const byId = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const fillRows = (list, rows) =>
  list.replaceChildren(
    ...rows.flatMap(([label, text]) => [
      make('dt', { textContent: label }),
      make('dd', { textContent: text, title: text }),
    ]),
  );

const number = (value, digits, unit) => (Number.isFinite(value) ? `${value.toFixed(digits)}${unit}` : '–');

const LAYERS = [
  ['trails', 'Trails', 'T', true],
  ['ids', 'Ids', 'I', false],
  ['velocity', 'Velocity', 'V', false],
  ['lights', 'Lights', 'L', true],
  ['road', 'Road', 'M', true],
  ['directions', 'Lane arrows', 'R', true],
];

class Panel {
  constructor(app) {
    this.app = app;
    byId('layers').replaceChildren(
      ...LAYERS.map(([name, title, key]) => {
        const box = make('input', { type: 'checkbox', checked: app.layers[name] });
        box.addEventListener('change', () => app.toggleLayer(name));
        box.dataset.layer = name;
        return make('li', {}, make('label', { title: `${title} (${key})` }, box, title));
      }),
    );
  }

  // What changes with the scene.
  showScene() {
    const { scene } = this.app;
    fillRows(byId('about'), [['Scene', scene.record.id], ...scene.record.about]);
    byId('ids').replaceChildren(...scene.agents.map(({ id }) => make('option', { value: id })));
    byId('find').value = '';
    this.listKinds();
    this.listEvents();
  }

  listKinds() {
    const { app } = this;
    const groups = new Map();
    for (const agent of app.scene.agents) {
      const name = agent.isEgo ? 'ego' : agent.kind.name;
      if (!groups.has(name)) groups.set(name, { agent, agents: [] });
      groups.get(name).agents.push(agent);
    }
    const order = ['ego', ...app.kinds.map((kind) => kind.name).filter((name) => name !== 'unknown')];
    const rank = (name) => (order.includes(name) ? order.indexOf(name) : order.length);
    this.groups = [...groups].sort((a, b) => rank(a[0]) - rank(b[0])).map(([name, group]) => {
      const count = make('span', { className: 'count' });
      const button = make(
        'button',
        { type: 'button', title: `Show or hide: ${name}` },
        drawSwatch(group.agent.kind, colourOf(group.agent, app), group.agent.isEgo),
        make('span', { className: 'name', textContent: name }),
        count,
      );
      button.addEventListener('click', () => app.toggleKind(name));
      return { name, agents: group.agents, button, count };
    });
    byId('legend').replaceChildren(...this.groups.map(({ button }) => make('li', {}, button)));
  }

  listEvents() {
    const { app } = this;
    const { events } = app.scene;
    // A list of matches holds the same events.
    byId('events-section').hidden = !events.length || app.matches.lines.length > 0;
    this.eventButtons = events.map((event) => {
      const { offset } = app.scene.record;
      const times = `${(offset + event.start).toFixed(1)}–${(offset + event.end).toFixed(1)} s`;
      const button = make(
        'button',
        { type: 'button' },
        make('span', { textContent: event.kind.replaceAll('_', ' ') }),
        make('span', { className: 'when', textContent: times }),
        make('span', { className: 'who', textContent: [event.agents.join(', '), event.note].filter(Boolean).join(' · ') }),
      );
      button.addEventListener('click', () => app.goToEvent(event));
      return button;
    });
    byId('events').replaceChildren(...this.eventButtons.map((button) => make('li', {}, button)));
    const length = Math.max((app.scene.steps - 1) * app.scene.dt, app.scene.dt);
    byId('marks').replaceChildren(
      ...events.map((event) => {
        const title = `${event.kind.replaceAll('_', ' ')}, ${(app.scene.record.offset + event.start).toFixed(1)} s`;
        const mark = make('button', { type: 'button', title, tabIndex: -1 });
        mark.setAttribute('aria-label', title);
        mark.style.left = `${Math.min((100 * event.start) / length, 100)}%`;
        mark.style.width = `${(100 * Math.max(Math.min(event.end, length) - event.start, 0)) / length}%`;
        mark.addEventListener('click', () => app.goToEvent(event));
        return mark;
      }),
    );
  }

  // When the selected agent is there, below the slider.
  showPresence() {
    const { scene, selected } = this.app;
    const agent = scene.agents[selected];
    const last = Math.max(scene.steps - 1, 1);
    byId('presence').replaceChildren(
      ...(agent ? scene.spans(agent) : []).map(([start, end]) => {
        const bar = make('i');
        bar.style.left = `${(100 * start) / last}%`;
        bar.style.width = `max(3px, ${(100 * (end - start)) / last}%)`;
        return bar;
      }),
    );
  }

  // What changes with time.
  showStep(step) {
    const { app } = this;
    const { scene } = app;
    for (const { name, agents, button, count } of this.groups) {
      const now = agents.filter((agent) => scene.isThere(agent, step)).length;
      setText(count, `${now} / ${agents.length}`);
      button.setAttribute('aria-pressed', String(!app.hidden.has(name)));
    }
    for (const box of byId('layers').querySelectorAll('input')) box.checked = app.layers[box.dataset.layer];
    const time = step * scene.dt;
    scene.events.forEach((event, i) => {
      const isNow = time >= event.start - 1e-9 && time <= event.end + 1e-9;
      this.eventButtons[i].setAttribute('aria-current', String(isNow));
    });
    this.showSelection(step);
  }

  showSelection(step) {
    const { app } = this;
    const { scene } = app;
    const agent = scene.agents[app.selected];
    const state = agent && scene.isThere(agent, step) ? scene.stateAtStep(agent, step) : null;
    const ego = scene.agents[scene.ego];
    const egoState = ego && scene.isThere(ego, step) ? scene.stateAtStep(ego, step) : null;
    const speed = state ? Math.hypot(state.vx, state.vy) : NaN;
    const [ox, oy] = scene.record.origin;
    const rows = [
      ['Id', agent ? agent.id : '–'],
      ['Kind', agent ? `${agent.isEgo ? 'ego, ' : ''}${agent.kind.name}` : '–'],
      ['Label', agent?.label || '–'],
      ['Size', agent ? describeSize(agent) : '–'],
      ['East', state ? `${(ox + state.x).toFixed(2)} m` : '–'],
      ['North', state ? `${(oy + state.y).toFixed(2)} m` : '–'],
      ['Heading', state ? number((state.heading * 180) / Math.PI, 1, '°') : '–'],
      ['Speed', Number.isFinite(speed) ? `${(speed * 3.6).toFixed(1)} km/h, ${speed.toFixed(2)} m/s` : '–'],
      ['To ego', state && egoState && !agent.isEgo ? `${Math.hypot(state.x - egoState.x, state.y - egoState.y).toFixed(1)} m` : '–'],
      ['There', agent ? `${scene.clockAt(agent.first).toFixed(1)}–${scene.clockAt(agent.last).toFixed(1)} s${state ? '' : ', not now'}` : '–'],
    ];
    const list = byId('details');
    if (list.children.length !== 2 * rows.length) fillRows(list, rows);
    rows.forEach(([, text], i) => {
      const cell = list.children[2 * i + 1];
      setText(cell, text);
      if (cell.title !== text) cell.title = text;
    });
    drawChart(byId('chart'), app, agent);
  }
}

// Length, width and height; a height alone may be missing.
function describeSize({ hasSize, length, width, height }) {
  if (!hasSize) return 'not known';
  return [length, width, height].filter(Number.isFinite).map((side) => side.toFixed(2)).join(' × ') + ' m';
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
