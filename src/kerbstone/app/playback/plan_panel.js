// What stands beside a plan: figures, speeds over time, and what the colours mean.

class PlanPanel {
  constructor(app, plans) {
    Object.assign(this, { app, plans, moment: undefined });
    this.when = make('small');
    this.facts = make('dl', { className: 'rows' });
    this.chart = make('canvas', { id: 'plan-chart' });
    this.chart.setAttribute('role', 'img');
    this.chart.setAttribute('aria-label', 'Speed over time: the plan in each mode, the fail-safe, and what was recorded');
    this.moments = make('ol', { id: 'plan-moments' });
    this.ways = make('ol', { id: 'plan-ways' });
    this.scale = make('div', { className: 'speed-scale' });
    const section = make(
      'section',
      { id: 'plan-section' },
      make('h2', { id: 'plan-title' }, 'Plan ', this.when),
      this.facts,
      make('figure', {}, this.chart),
      this.ways,
      this.scale,
      make(
        'ul',
        { className: 'plan-key' },
        ...PLAN_KEY.map(([colour, text]) => {
          const swatch = make('i');
          swatch.style.background = `var(--${colour})`;
          return make('li', {}, swatch, text);
        }),
      ),
    );
    section.setAttribute('aria-labelledby', 'plan-title');
    byId('matches-section').before(section);
    this.section = section;
  }

  show(moment) {
    if (moment !== this.moment) this.fill(moment);
    if (moment) this.drawChart(moment);
  }

  fill(moment) {
    this.moment = moment;
    const { scene } = this.app;
    this.section.hidden = !scene.plans;
    if (!scene.plans) return;
    setText(this.when, moment ? `made at ${(scene.record.offset + moment.time).toFixed(1)} s` : 'none yet');
    this.facts.replaceChildren(
      ...(moment?.facts ?? []).flatMap(([label, text, tone, note]) => {
        const cell = make('dd', { textContent: text, title: note || text });
        cell.dataset.tone = tone;
        return [make('dt', { textContent: label }), cell];
      }),
    );
    this.ways.replaceChildren(
      ...(moment?.others ?? []).map(({ name, note }) =>
        make('li', {}, make('span', { textContent: name }), make('span', { className: 'when', textContent: note })),
      ),
    );
    this.ways.hidden = !moment?.others.length;
    this.chart.parentElement.hidden = !moment;
    const top = `${Math.round(scene.plans.fastest * 3.6)} km/h`;
    this.scale.replaceChildren(make('span', { textContent: '0' }), make('i'), make('span', { textContent: top }));
  }

  // Time runs from when the plan was made.
  drawChart(moment) {
    const { app, chart, plans } = this;
    const { colours, scene, ratio } = app;
    const [width, height] = [chart.clientWidth, chart.clientHeight];
    chart.width = Math.round(width * ratio);
    chart.height = Math.round(height * ratio);
    const context = chart.getContext('2d');
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.font = '11px system-ui, sans-serif';
    const frame = { left: 26, right: width - 6, top: 8, bottom: height - 16 };
    const span = Math.max(...moment.branches.map(({ path, dt }) => (path.length - 1) * dt));
    const largest = scene.plans.fastest * 3.6;
    const top = [10, 20, 30, 40, 50, 60, 80, 100, 130].find((value) => value >= largest) ?? largest;
    const atX = (time) => frame.left + ((frame.right - frame.left) * time) / span;
    const atY = (speed) => frame.bottom - ((frame.bottom - frame.top) * Math.min(Math.max(speed * 3.6, 0), top)) / top;
    context.strokeStyle = colours.line;
    context.fillStyle = colours.dim;
    context.textAlign = 'right';
    context.textBaseline = 'middle';
    for (const speed of [0, top / 2, top]) {
      const y = Math.round(atY(speed / 3.6)) + 0.5;
      context.beginPath();
      context.moveTo(frame.left, y);
      context.lineTo(frame.right, y);
      context.stroke();
      context.fillText(String(Math.round(speed)), frame.left - 4, y);
    }
    context.textAlign = 'center';
    context.textBaseline = 'alphabetic';
    for (let second = 0; second <= span + 1e-6; second += span > 5 ? 2 : 1) {
      context.fillText(second ? `${second}` : 'km/h, 0 s', Math.max(atX(second), second ? 0 : frame.left + 22), height - 3);
    }
    const line = (points, colour, breadth, dash = []) => {
      context.strokeStyle = colour;
      context.lineWidth = breadth;
      context.setLineDash(dash);
      context.beginPath();
      points.forEach(([time, speed]) => context.lineTo(atX(time), atY(speed)));
      context.stroke();
      context.setLineDash([]);
    };
    const ofDrive = ({ path, dt }) => path.map(({ speed }, i) => [i * dt, speed]).filter(([time]) => time <= span);
    line(this.recorded(moment, span), colours['ego-text'], 1.5, [2, 3]);
    if (moment.failsafe) line(ofDrive(moment.failsafe), colours[moment.isVerified ? 'failsafe' : 'unverified'], 2);
    moment.branches.toSorted((a, b) => a.weight - b.weight).forEach((branch) => {
      line(ofDrive(branch), colours['speed-1'], 1.4 + 1.2 * branch.weight);
    });
    const { elapsed } = plans;
    if (elapsed <= span) {
      const x = Math.round(atX(elapsed)) + 0.5;
      context.strokeStyle = colours.text;
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(x, frame.top - 4);
      context.lineTo(x, frame.bottom);
      context.stroke();
    }
  }

  // The speed that the car had in the record.
  recorded(moment, span) {
    const { scene } = this.app;
    const ego = scene.agents[scene.ego];
    if (!ego) return [];
    return speedsOf(scene, ego)
      .map(([step, speed]) => [step * scene.dt - moment.time, speed / 3.6])
      .filter(([time]) => time >= -1e-6 && time <= span);
  }
}
