// Mouse, touch and keyboard.

const KEYS = [
  [['Space'], 'Play or pause', [' '], (player) => player.togglePlay()],
  [['←', '→'], 'One step back, on', ['ArrowLeft', 'ArrowRight'], (player, sign) => player.stepBy(sign)],
  [['Page Up', 'Page Down'], 'One second back, on', ['PageUp', 'PageDown'], (player, sign) => player.stepBy(sign * player.seconds(1))],
  [['Home', 'End'], 'To the start, the end', ['Home', 'End'], (player, sign) => player.stepBy(sign * player.scene.steps)],
  [[',', '.'], 'Slower, faster', [',', '.'], (player, sign) => player.changeSpeed(sign)],
  [['A', 'Shift A'], 'Next, previous road user, the nearest first', ['A', 'a'], (player, sign) => player.cycle(sign)],
  [['E'], 'Select ego', ['e'], (player) => player.scene.ego !== null && player.select(player.scene.ego)],
  [['Esc'], 'Select nobody', ['Escape'], (player) => player.select(null)],
  [['G', 'Shift G'], 'Next, previous event or match', ['G', 'g'], (player, sign) => player.stepEvent(sign)],
  [['F'], 'Follow ego, the selection, nobody', ['f'], (player) => player.cycleFollow()],
  [['O'], 'North up or heading up', ['o'], (player) => player.toggleUp()],
  [['+', '−'], 'Zoom in, out', ['-', '+'], (player, sign) => player.zoom(1.25 ** sign)],
  [['Shift ← → ↑ ↓'], 'Move the picture', [], null],
  [['0'], 'Show everyone', ['0'], (player) => player.fit()],
  [['N', 'Shift N'], 'Next, previous scene', ['N', 'n'], (player, sign) => player.stepScene(sign)],
  ...LAYERS.map(([name, title, key]) => [[key], `${title} on or off`, [key.toLowerCase()], (player) => player.toggleLayer(name)]),
  [['D'], 'Light or dark', ['d'], (player) => player.toggleTheme()],
  [['?'], 'These keys', ['?'], () => toggleHelp()],
];

const PAN_KEYS = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };

// What an element does with a key by itself stays its own.
function isTakenBy(target, key) {
  if (target.id === 'find') return key !== 'Escape';
  if (target.tagName === 'SELECT') return key !== '?' && key !== 'Escape';
  if (target.tagName === 'BUTTON' || target.type === 'checkbox') return key === ' ' || key === 'Enter';
  return target.type === 'range' && ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Home', 'End'].includes(key);
}

function listenToKeys(player) {
  document.addEventListener('keydown', (event) => {
    const { key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || !player.scene) return;
    if (byId('help').open || isTakenBy(event.target, key)) return;
    if (event.shiftKey && PAN_KEYS[key]) {
      player.pan(...PAN_KEYS[key]);
      event.preventDefault();
      return;
    }
    const wanted = key === '=' ? '+' : key === '_' ? '-' : key;
    for (const [, , names, act] of KEYS) {
      // With two names the first goes back. Caps lock does not matter where there is but one.
      const place = names.findIndex((name) => name === wanted || (names.length === 1 && name === wanted.toLowerCase()));
      if (place < 0) continue;
      act(player, names.length === 2 && place === 0 ? -1 : 1);
      event.preventDefault();
      return;
    }
  });
}

function toggleHelp() {
  const help = byId('help');
  if (help.open) help.close();
  else help.showModal();
}

function listenToControls(player) {
  const on = (id, act, type = 'click') => byId(id).addEventListener(type, act);
  on('play', () => player.togglePlay());
  on('back', () => player.stepBy(-1));
  on('forward', () => player.stepBy(1));
  on('to-start', () => player.stepBy(-player.scene.steps));
  on('to-end', () => player.stepBy(player.scene.steps));
  on('slider', ({ target }) => player.seek(Number(target.value)), 'input');
  on('speed', ({ target }) => player.setSpeed(Number(target.value)), 'change');
  on('zoom-in', () => player.zoom(1.25));
  on('zoom-out', () => player.zoom(0.8));
  on('fit', () => player.fit());
  on('up', () => player.toggleUp());
  on('follow', ({ target }) => player.setFollow(target.value), 'change');
  on('find', ({ target }) => player.find(target.value), 'input');
  on('theme', () => player.toggleTheme());
  on('help-open', toggleHelp);
  on('scene', ({ target }) => player.openScene(Number(target.value)), 'change');
  on('scene-back', () => player.stepScene(-1));
  on('scene-next', () => player.stepScene(1));
  byId('keys').replaceChildren(
    ...KEYS.map(([names, text]) =>
      make(
        'div',
        {},
        make('dt', {}, ...names.map((name) => make('kbd', { textContent: name }))),
        make('dd', { textContent: text }),
      ),
    ),
  );
}

function listenToPointer(player) {
  const { canvas } = player.picture;
  const pointers = new Map();
  let travelled = 0;
  const place = (event) => {
    const { left, top } = canvas.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };
  const spread = () => {
    const [[ax, ay], [bx, by]] = [...pointers.values()];
    return { length: Math.hypot(ax - bx, ay - by), x: (ax + bx) / 2, y: (ay + by) / 2 };
  };

  canvas.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    if (pointers.size === 1) travelled = 0;
  });

  canvas.addEventListener('pointermove', (event) => {
    if (!player.scene) return;
    const [x, y] = place(event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      hover(player, x, y);
      return;
    }
    if (pointers.size === 2) {
      const old = spread();
      pointers.set(event.pointerId, [x, y]);
      const now = spread();
      travelled = Infinity;
      if (player.follow === 'none') player.pan(now.x - old.x, now.y - old.y);
      player.zoom(now.length / Math.max(old.length, 1), now.x, now.y);
      return;
    }
    pointers.set(event.pointerId, [x, y]);
    travelled += Math.hypot(x - before[0], y - before[1]);
    if (travelled > 4) {
      canvas.classList.add('dragging');
      player.pan(x - before[0], y - before[1]);
    }
  });

  const release = (event) => {
    if (!pointers.delete(event.pointerId) || pointers.size) return;
    canvas.classList.remove('dragging');
    if (event.type === 'pointerup' && travelled <= 4 && player.states) {
      player.select(player.picture.painter.pick(player.states, ...place(event))?.row ?? null);
    }
  };
  canvas.addEventListener('pointerup', release);
  canvas.addEventListener('pointercancel', release);
  canvas.addEventListener('pointerleave', () => hover(player, -1e6, -1e6));
  canvas.addEventListener('dblclick', (event) => player.zoom(1.6, ...place(event)));
  canvas.addEventListener(
    'wheel',
    (event) => {
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : 1;
      const strength = event.ctrlKey ? 0.01 : 0.0015;
      player.zoom(Math.exp(-event.deltaY * lines * strength), ...place(event));
    },
    { passive: false },
  );
}

function hover(player, x, y) {
  const agent = player.states ? player.picture.painter.pick(player.states, x, y) : null;
  const tip = byId('tip');
  tip.hidden = !agent;
  player.picture.canvas.classList.toggle('over', Boolean(agent));
  if (agent) {
    setText(tip, player.describe(agent).replace('kilometres per hour', 'km/h'));
    const left = Math.min(x + 14, player.camera.width - tip.offsetWidth - 4);
    tip.style.transform = `translate(${left}px, ${Math.max(y - 30, 4)}px)`;
  }
  if ((agent?.row ?? null) === player.hovered) return;
  player.hovered = agent?.row ?? null;
  player.refresh();
}
