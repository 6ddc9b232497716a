// Start: read the data, build the controls, open the scene that the address names.

function fail(error) {
  const failure = byId('failure');
  failure.textContent = `This page cannot show its scene: ${error?.message ?? error}`;
  failure.hidden = false;
  document.body.dataset.error = String(error?.message ?? error);
}

addEventListener('error', (event) => fail(event.error ?? event.message));
addEventListener('unhandledrejection', (event) => fail(event.reason));

const player = new Player(JSON.parse(byId('data').textContent));

byId('chooser').hidden = player.records.length < 2;
byId('scene').replaceChildren(
  ...player.records.map(({ id, steps, dt, ids }, index) =>
    make('option', {
      value: String(index),
      textContent: `${index + 1}. ${id} · ${(steps * dt).toFixed(1)} s · ${ids.length} agents`,
    }),
  ),
);

listenToKeys(player);
listenToControls(player);
listenToPointer(player);

new ResizeObserver(() => {
  if (!player.scene) return;
  player.picture.resize();
  player.draw();
}).observe(player.picture.canvas);

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  player.picture.readColours();
  player.refresh();
});

const openLink = () => {
  const link = readLink();
  if (!player.scene && link.scene === null && link.time === null && player.matches.first >= 0) {
    player.matches.open(player.matches.first);
    return;
  }
  const index = player.findScene(link.scene);
  if (player.scene && index === player.sceneIndex) {
    player.pause();
    player.applyLink(link);
    player.refresh();
  } else {
    player.openScene(index, link);
  }
};

addEventListener('hashchange', openLink);
openLink();
