// What part of the world is shown: the point at the focus, pixels per metre, and which way is up.

const SCALES = [0.05, 200];

class Camera {
  constructor() {
    Object.assign(this, { x: 0, y: 0, scale: 8, up: Math.PI / 2, width: 1, height: 1, focus: 0.5 });
  }

  // The screen's right and up directions in the world.
  get axes() {
    const sin = Math.sin(this.up);
    const cos = Math.cos(this.up);
    return { right: [sin, -cos], up: [cos, sin] };
  }

  toScreen(x, y) {
    const { right, up } = this.axes;
    const dx = x - this.x;
    const dy = y - this.y;
    return [
      this.width / 2 + this.scale * (dx * right[0] + dy * right[1]),
      this.height * this.focus - this.scale * (dx * up[0] + dy * up[1]),
    ];
  }

  toWorld(sx, sy) {
    const { right, up } = this.axes;
    const across = (sx - this.width / 2) / this.scale;
    const along = (this.height * this.focus - sy) / this.scale;
    return [
      this.x + across * right[0] + along * up[0],
      this.y + across * right[1] + along * up[1],
    ];
  }

  // Make the context draw in metres of the world.
  useWorld(context, ratio) {
    const { right, up } = this.axes;
    const s = this.scale * ratio;
    const [e, f] = this.toScreen(0, 0);
    context.setTransform(
      s * right[0], -s * up[0], s * right[1], -s * up[1], e * ratio, f * ratio,
    );
  }

  useScreen(context, ratio) {
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  pan(dx, dy) {
    const { right, up } = this.axes;
    this.x += (-dx * right[0] + dy * up[0]) / this.scale;
    this.y += (-dx * right[1] + dy * up[1]) / this.scale;
  }

  // Zoom so that the place under a point of the screen stays there.
  zoom(factor, sx = this.width / 2, sy = this.height * this.focus) {
    const [x, y] = this.toWorld(sx, sy);
    this.scale = Math.min(Math.max(this.scale * factor, SCALES[0]), SCALES[1]);
    const [nx, ny] = this.toWorld(sx, sy);
    this.x += x - nx;
    this.y += y - ny;
  }

  fit(box, margin = 12) {
    if (box.isEmpty) return;
    this.x = (box.left + box.right) / 2;
    this.y = (box.bottom + box.top) / 2;
    const across = box.right - box.left + 2 * margin;
    const along = box.top - box.bottom + 2 * margin;
    this.scale = Math.min(this.width / across, this.height / along, 30);
  }

  // The part of the world on the screen.
  view() {
    const box = new Box();
    for (const [sx, sy] of [[0, 0], [this.width, 0], [0, this.height], [this.width, this.height]]) {
      box.add(...this.toWorld(sx, sy));
    }
    return box;
  }
}
