// Speed of the selected agent over the length of the scene, with a cursor at the time shown.

function drawChart(canvas, app, agent) {
  const { colours, scene } = app;
  const ratio = app.ratio;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.font = '11px system-ui, sans-serif';
  context.fillStyle = colours.dim;
  const frame = { left: 26, right: width - 2, top: 8, bottom: height - 14 };
  const points = agent ? speedsOf(scene, agent) : [];
  const largest = points.reduce((most, [, speed]) => Math.max(most, speed), 0);
  const top = [10, 20, 30, 50, 80, 100, 130, 160, 200, 300].find((v) => v >= largest) ?? largest;
  const atX = (step) => frame.left + ((frame.right - frame.left) * step) / Math.max(scene.steps - 1, 1);
  const atY = (speed) => frame.bottom - ((frame.bottom - frame.top) * speed) / top;

  context.strokeStyle = colours.line;
  context.lineWidth = 1;
  context.textAlign = 'right';
  context.textBaseline = 'middle';
  for (const speed of [0, top]) {
    const y = Math.round(atY(speed)) + 0.5;
    context.beginPath();
    context.moveTo(frame.left, y);
    context.lineTo(frame.right, y);
    context.stroke();
    if (points.length) context.fillText(String(Math.round(speed)), frame.left - 4, y);
  }
  context.textAlign = 'center';
  context.textBaseline = 'alphabetic';
  const caption = !agent
    ? 'Click a road user, or press A'
    : points.length
      ? 'km/h over time'
      : 'speed not known';
  context.fillText(caption, (frame.left + frame.right) / 2, height - 2);

  context.strokeStyle = colours.accent;
  context.lineWidth = 1.6;
  context.lineJoin = 'round';
  context.beginPath();
  let last = -2;
  for (const [step, speed] of points) {
    if (step === last + 1) context.lineTo(atX(step), atY(speed));
    else context.moveTo(atX(step), atY(speed));
    last = step;
  }
  context.stroke();

  if (!agent) return;
  const x = Math.round(atX(app.time)) + 0.5;
  context.strokeStyle = colours.text;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x, frame.top - 4);
  context.lineTo(x, frame.bottom);
  context.stroke();
}

// Pairs of step and speed [km/h] wherever the speed is known.
function speedsOf(scene, agent) {
  const { vx, vy, valid } = scene.tracks;
  const points = [];
  for (let step = agent.first; step <= agent.last; step++) {
    const i = agent.base + step;
    const speed = Math.hypot(metres(vx[i]), metres(vy[i])) * 3.6;
    if (valid[i] && Number.isFinite(speed)) points.push([step, speed]);
  }
  return points;
}
