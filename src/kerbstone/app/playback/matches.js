// The list of matches beside the player, to click through.

class Matches {
  constructor(app, lines) {
    Object.assign(this, { app, lines });
    byId('matches-section').hidden = !lines.length;
    this.buttons = lines.map((line, place) => {
      const isShown = line.scene !== null;
      const button = make(
        'button',
        {
          type: 'button',
          disabled: !isShown,
          title: [isShown ? line.title : `${line.title}, not on this page`, line.detail].filter(Boolean).join('\n'),
        },
        make('span', { className: 'title', textContent: line.title }),
        make('span', { className: 'strength', textContent: line.strength }),
        make('span', { className: 'who', textContent: line.detail }),
        make('span', { className: 'when', textContent: line.when }),
      );
      button.dataset.match = String(line.isMatch);
      button.addEventListener('click', () => this.open(place));
      return button;
    });
    const firstMiss = lines.findIndex(({ isMatch }) => !isMatch);
    byId('matches').replaceChildren(
      ...this.buttons.flatMap((button, place) => [
        ...(place === firstMiss ? [make('li', { className: 'heading', textContent: 'Near misses' })] : []),
        make('li', {}, button),
      ]),
    );
  }

  get first() {
    return this.lines.findIndex(({ scene }) => scene !== null);
  }

  async open(place) {
    const line = this.lines[place];
    const { app } = this;
    if (!line || line.scene === null) return;
    if (app.sceneIndex !== line.scene) await app.openScene(line.scene);
    if (app.sceneIndex === line.scene) app.goToEvent(app.scene.events[line.event]);
  }

  // The next one that is on the page, from the one that is shown now.
  step(direction) {
    const shown = [...this.lines.keys()].filter((place) => this.lines[place].scene !== null);
    if (!shown.length) return;
    const now = shown.indexOf(this.current);
    this.open(shown[(now + direction + shown.length) % shown.length]);
  }

  get current() {
    const { sceneIndex, scene, event } = this.app;
    return this.lines.findIndex((line) => line.scene === sceneIndex && scene.events[line.event] === event);
  }

  // Only the list moves: the page stays where the reader has it.
  scrollTo(button) {
    const list = byId('matches');
    const [box, frame] = [button.getBoundingClientRect(), list.getBoundingClientRect()];
    if (box.top < frame.top) list.scrollTop += box.top - frame.top;
    else if (box.bottom > frame.bottom) list.scrollTop += box.bottom - frame.bottom;
  }

  // Mark the one that is shown.
  showCurrent() {
    const { current } = this;
    this.buttons.forEach((button, place) => {
      const isCurrent = String(place === current);
      if (button.getAttribute('aria-current') === isCurrent) return;
      button.setAttribute('aria-current', isCurrent);
      if (place === current) this.scrollTo(button);
    });
  }
}
