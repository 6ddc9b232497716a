// Numbers as `codec.py` packs them: deflated byte planes of differences, in base64.

const UNKNOWN = -(2 ** 31);

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  const planes = new Uint8Array(await new Response(inflated).arrayBuffer());
  const n = planes.length / 4;
  const values = new Int32Array(n);
  let value = 0;
  for (let i = 0; i < n; i++) {
    const difference =
      planes[i] | (planes[n + i] << 8) | (planes[2 * n + i] << 16) | (planes[3 * n + i] << 24);
    value = (value + difference) | 0;
    values[i] = value;
  }
  return values;
}

// Unpack every text of an object; what is no text stays.
async function unpackAll(record) {
  const entries = Object.entries(record).map(async ([name, value]) => [
    name,
    typeof value === 'string' ? await unpack(value) : value,
  ]);
  return Object.fromEntries(await Promise.all(entries));
}

const metres = (value) => (value === UNKNOWN ? NaN : value / 100);
const radians = (value) => (value === UNKNOWN ? NaN : (value * Math.PI) / 1800);
