// The page's address after `#`: a link to a scene, a moment, a selection and a view.

function readLink() {
  const link = new URLSearchParams(location.hash.slice(1));
  const asNumber = (name) => {
    const value = Number.parseFloat(link.get(name));
    return Number.isFinite(value) ? value : null;
  };
  return {
    scene: link.get('scene'),
    time: asNumber('t'),
    select: link.get('select'),
    follow: link.get('follow'),
    up: link.get('up'),
    zoom: asNumber('zoom'),
    x: asNumber('x'),
    y: asNumber('y'),
  };
}

function writeLink(app) {
  const { scene, camera } = app;
  const link = new URLSearchParams();
  if (app.records.length > 1) link.set('scene', String(app.sceneIndex + 1));
  link.set('t', (Math.round(app.time) * scene.dt).toFixed(3).replace(/\.?0+$/, ''));
  if (scene.agents[app.selected]) link.set('select', scene.agents[app.selected].id);
  link.set('follow', app.follow);
  if (app.up !== 'north') link.set('up', app.up);
  link.set('zoom', camera.scale.toFixed(2));
  if (app.follow === 'none') {
    link.set('x', (camera.x + scene.record.origin[0]).toFixed(1));
    link.set('y', (camera.y + scene.record.origin[1]).toFixed(1));
  }
  const address = `#${link}`;
  if (address === location.hash) return;
  try {
    history.replaceState(null, '', address);
  } catch {
    // Some viewers forbid a page to change its address: then there is no link to copy.
  }
}
