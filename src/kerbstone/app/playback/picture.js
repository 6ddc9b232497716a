// The picture: the canvas with its camera and its colours, drawn from the ground up.

const COLOURS = [
  'ground', 'drivable', 'lane', 'shoulder', 'bus-lane', 'bicycle-lane', 'rail', 'sidewalk', 'parking',
  'driveway', 'crosswalk', 'white', 'yellow', 'edge', 'border', 'virtual', 'grid',
  'direction', 'bump', 'bump-area', 'outline', 'halo',
  'pick', 'pick-under', 'label', 'text', 'dim', 'line', 'accent', 'ego-text', 'mark', 'mark-area', 'miss',
];

class Picture {
  constructor(app) {
    const canvas = byId('view');
    Object.assign(this, { app, canvas, camera: new Camera(), ratio: 1 });
    this.context = canvas.getContext('2d');
    this.painter = new AgentPainter(this.context, this.camera, app);
    this.readColours();
  }

  // The style sheet's colours as the canvas needs them: resolved for the theme in force.
  readColours() {
    const probe = make('i');
    document.body.append(probe);
    this.colours = Object.fromEntries(
      COLOURS.map((name) => {
        probe.style.color = `var(--${name})`;
        return [name, getComputedStyle(probe).color];
      }),
    );
    probe.remove();
  }

  resize() {
    const { clientWidth, clientHeight } = this.canvas;
    this.ratio = Math.min(devicePixelRatio || 1, 3);
    this.canvas.width = Math.round(clientWidth * this.ratio);
    this.canvas.height = Math.round(clientHeight * this.ratio);
    Object.assign(this.camera, { width: clientWidth, height: clientHeight });
  }

  draw(states) {
    const { app, camera, colours, context, painter } = this;
    const { layers, scene, step } = app;
    camera.useScreen(context, this.ratio);
    context.fillStyle = colours.ground;
    context.fillRect(0, 0, camera.width, camera.height);
    camera.useWorld(context, this.ratio);
    if (scene.road.isEmpty || !layers.road) drawGrid(context, camera, colours);
    else scene.road.draw(context, camera, colours, layers);
    if (layers.lights) painter.drawLights(scene.lights, step);
    app.plans?.draw(this);
    painter.draw(states);
    app.plans?.drawOver(this);
    this.drawScale();
    byId('needle').style.transform = `rotate(${camera.up - Math.PI / 2}rad)`;
  }

  // The longest round length that fits.
  drawScale() {
    const { context, camera, colours } = this;
    const lengths = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000];
    const length = lengths.findLast((metre) => metre * camera.scale <= 130) ?? 1;
    const [left, bottom, breadth] = [14, camera.height - 14, length * camera.scale];
    const text = length < 1000 ? `${length} m` : `${length / 1000} km`;
    context.font = '12px system-ui, sans-serif';
    context.textAlign = 'left';
    context.textBaseline = 'alphabetic';
    context.lineCap = 'butt';
    context.fillStyle = colours.label;
    context.beginPath();
    context.roundRect(left - 6, bottom - 23, Math.max(breadth, context.measureText(text).width) + 12, 29, 5);
    context.fill();
    context.fillStyle = context.strokeStyle = colours.text;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(left, bottom - 5);
    context.lineTo(left, bottom);
    context.lineTo(left + breadth, bottom);
    context.lineTo(left + breadth, bottom - 5);
    context.stroke();
    context.fillText(text, left, bottom - 9);
  }
}
