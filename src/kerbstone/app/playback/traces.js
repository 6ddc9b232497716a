// How strongly a match's conditions hold over time: one row each below the time slider, and in line
// with it. Above the zero line a condition holds.

const MOST_SHOWN = 3; // margins, above and below zero

class Traces {
  constructor(app) {
    this.app = app;
    this.list = byId('traces');
    this.event = null;
    this.rows = [];
    this.list.addEventListener('pointerdown', (event) => this.seek(event));
    this.list.addEventListener('pointermove', (event) => event.buttons === 1 && this.seek(event));
  }

  show(event) {
    if (this.event === event) return;
    this.event = event;
    const curves = event?.plot?.curves ?? [];
    this.list.hidden = !curves.length;
    this.rows = curves.map((curve) => {
      const label = make('span', { className: 'label', textContent: curve.label, title: curve.label });
      const canvas = make('canvas');
      canvas.setAttribute('role', 'img');
      canvas.setAttribute('aria-label', `How strongly it holds over time: ${curve.label}`);
      const now = make('output', { className: 'now' });
      const row = make('li', {}, label, canvas, now);
      return { curve, canvas, now, row, reach: reachOf(curve.robustness) };
    });
    this.list.replaceChildren(...this.rows.map(({ row }) => row));
  }

  // The rows stand below the slider, so that one playhead goes through all.
  draw(step) {
    if (!this.rows.length) return;
    const slider = byId('slider').getBoundingClientRect();
    const frame = this.list.getBoundingClientRect();
    const half = 8; // of the slider's thumb
    const [left, right] = [slider.left - frame.left + half, frame.left + this.list.clientWidth - slider.right + half];
    this.list.classList.toggle('stacked', left < 80);
    this.list.style.setProperty('--left', `${left}px`);
    this.list.style.setProperty('--right', `${right}px`);
    for (const row of this.rows) {
      this.drawRow(row, step);
      this.tell(row, step);
    }
  }

  drawRow({ curve, canvas, reach }, step) {
    const { app, event } = this;
    const { colours, scene, ratio } = app;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = canvas.getContext('2d');
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const atX = (time) => (width * time) / Math.max(scene.steps - 1, 1);
    const middle = Math.round(height / 2) + 0.5;
    const atY = (value) => middle - (Math.min(Math.max(value / reach, -1), 1) * (height - 5)) / 2;

    context.fillStyle = colours['mark-area'];
    const start = atX(event.start / scene.dt);
    context.fillRect(start, 0, Math.max(Math.min(atX(event.end / scene.dt), width) - start, 2), height);
    context.lineWidth = 1.6;
    context.lineJoin = 'round';
    for (const run of runsOf(curve.robustness)) {
      for (const [colour, top, bottom] of [['accent', 0, middle], ['miss', middle, height]]) {
        context.save();
        context.beginPath();
        context.rect(0, top, width, bottom - top);
        context.clip();
        context.fillStyle = context.strokeStyle = colours[colour];
        context.beginPath();
        run.forEach(([place, value]) => context.lineTo(atX(event.plot.first + place), atY(value)));
        if (run.length === 1) context.lineTo(atX(event.plot.first + run[0][0]) + 2, atY(run[0][1]));
        context.stroke();
        context.lineTo(atX(event.plot.first + run.at(-1)[0]), middle);
        context.lineTo(atX(event.plot.first + run[0][0]), middle);
        context.globalAlpha = 0.22;
        context.fill();
        context.restore();
      }
    }
    context.strokeStyle = colours.dim;
    context.lineWidth = 1;
    context.setLineDash([2, 3]);
    context.beginPath();
    context.moveTo(0, middle);
    context.lineTo(width, middle);
    context.stroke();
    context.setLineDash([]);
    const x = Math.min(Math.max(atX(app.isPlaying ? app.time : step), 0.75), width - 0.75);
    context.strokeStyle = colours.text;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, height);
    context.stroke();
  }

  // What holds now: by sign and word, not by colour alone.
  tell({ curve, now }, step) {
    const place = step - this.event.plot.first;
    const robustness = curve.robustness[place] ?? null;
    const value = curve.values?.[place] ?? null;
    const said = value === null ? (robustness === null ? '' : signed(robustness)) : `${digits(value)} ${curve.unit}`.trim();
    const mark = robustness === null ? '–' : robustness > 0 ? '✓' : '✗';
    setText(now, `${mark} ${said}`.trim());
    now.dataset.holds = robustness === null ? 'unknown' : String(robustness > 0);
    now.title = robustness === null ? 'not known here' : `robustness ${signed(robustness)}`;
  }

  seek({ target, clientX }) {
    if (target.tagName !== 'CANVAS') return;
    const { left, width } = target.getBoundingClientRect();
    this.app.pause();
    this.app.seek(((clientX - left) / width) * (this.app.scene.steps - 1));
  }
}

// Stretches without a gap, as pairs of place and value.
function runsOf(values) {
  const runs = [];
  let run = null;
  values.forEach((value, place) => {
    if (value === null) run = null;
    else if (run) run.push([place, value]);
    else runs.push((run = [[place, value]]));
  });
  return runs;
}

// The largest value that a row shows: at least one margin, so that noise does not look like much.
function reachOf(values) {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value ?? 0)), 0);
  return Math.min(Math.max(largest, 1), MOST_SHOWN);
}

// Three digits, and nothing smaller than a thousandth.
const digits = (value) => {
  if (Math.abs(value) >= 1e9) return value > 0 ? '∞' : '−∞';
  return String(Math.abs(value) < 0.001 ? 0 : Number(value.toPrecision(3))).replace('-', '−');
};
const signed = (value) => `${value > 0 ? '+' : '−'}${digits(Math.abs(value))}`;
