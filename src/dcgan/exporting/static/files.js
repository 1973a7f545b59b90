// Pictures as files, made in the browser: PNG, GIF, npz. A picture is { width, height, channels, data: Uint8Array }.

/** Pixels as RGBA for a canvas. */
export function rgba({ width, height, channels, data }) {
  const out = new Uint8ClampedArray(width * height * 4);
  for (let i = 0; i < width * height; i++) {
    const at = i * channels;
    out[4 * i] = data[at];
    out[4 * i + 1] = data[at + (channels > 1 ? 1 : 0)];
    out[4 * i + 2] = data[at + (channels > 1 ? 2 : 0)];
    out[4 * i + 3] = channels === 4 ? data[at + 3] : 255;
  }
  return new ImageData(out, width, height);
}

/** Show a picture on a canvas, pixel by pixel. */
export function paint(canvas, picture) {
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext("2d").putImageData(rgba(picture), 0, 0);
}

/** Pictures in a grid on black, two pixels apart, as a PNG. */
export function png(pictures) {
  const { width, height } = pictures[0];
  const columns = Math.ceil(Math.sqrt(pictures.length));
  const canvas = document.createElement("canvas");
  canvas.width = columns * (width + 2) + 2;
  canvas.height = Math.ceil(pictures.length / columns) * (height + 2) + 2;
  const context = canvas.getContext("2d");
  context.fillRect(0, 0, canvas.width, canvas.height);
  pictures.forEach((picture, i) => {
    const [left, top] = [2 + (i % columns) * (width + 2), 2 + Math.floor(i / columns) * (height + 2)];
    context.putImageData(rgba(picture), left, top);
  });
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

const little = (value, bytes) => Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) & 255);
const text = (words) => Array.from(words, (c) => c.charCodeAt(0));

/** 256 grays, or 6 x 7 x 6 colours. */
function palette(isGray) {
  if (isGray) return Array.from({ length: 256 }, (_, i) => [i, i, i]).flat();
  const colours = [];
  for (let r = 0; r < 6; r++)
    for (let g = 0; g < 7; g++) for (let b = 0; b < 6; b++) colours.push(r * 51, Math.round(g * 42.5), b * 51);
  return [...colours, ...Array(12).fill(0)];
}

function indices({ width, height, channels, data }) {
  if (channels === 1) return data;
  return Uint8Array.from({ length: width * height }, (_, i) => {
    const [r, g, b] = data.subarray(i * channels, i * channels + 3);
    return Math.round(r / 51) * 42 + Math.round(g / 42.5) * 6 + Math.round(b / 51);
  });
}

/** LZW as GIF has it, codes of 9 to 12 bits, in blocks of at most 255 bytes. */
function lzw(pixels) {
  const [clear, end] = [256, 257];
  const out = [];
  let [bits, held, width, next, table] = [0, 0, 9, 258, new Map()];
  const put = (code) => {
    held |= code << bits;
    for (bits += width; bits >= 8; bits -= 8, held >>>= 8) out.push(held & 255);
  };
  put(clear);
  let prefix = pixels[0];
  for (let i = 1; i < pixels.length; i++) {
    const key = prefix * 256 + pixels[i];
    if (table.has(key)) {
      prefix = table.get(key);
      continue;
    }
    put(prefix);
    prefix = pixels[i];
    if (next === 4096) {
      put(clear);
      [width, next, table] = [9, 258, new Map()];
    } else {
      table.set(key, next);
      if (next === 1 << width) width++;
      next++;
    }
  }
  put(prefix);
  put(end);
  if (bits) out.push(held & 255);
  const blocks = [];
  for (let i = 0; i < out.length; i += 255) blocks.push(Math.min(255, out.length - i), ...out.slice(i, i + 255));
  return [8, ...blocks, 0];
}

/** An animation that repeats, 6 hundredths of a second a frame. */
export function gif(pictures) {
  const { width, height, channels } = pictures[0];
  const size = [...little(width, 2), ...little(height, 2)];
  const bytes = [...text("GIF89a"), ...size, 0xf7, 0, 0, ...palette(channels === 1)];
  bytes.push(0x21, 0xff, 11, ...text("NETSCAPE2.0"), 3, 1, 0, 0, 0);
  for (const picture of pictures) {
    bytes.push(0x21, 0xf9, 4, 4, 6, 0, 0, 0, 0x2c, 0, 0, 0, 0, ...size, 0);
    for (const byte of lzw(indices(picture))) bytes.push(byte);
  }
  bytes.push(0x3b);
  return new Blob([Uint8Array.from(bytes)], { type: "image/gif" });
}

function npy(kind, shape, data) {
  const header = `{'descr': '${kind}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const padded = header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11) + "\n";
  const bytes = [0x93, ...text("NUMPY"), 1, 0, ...little(padded.length, 2), ...text(padded)];
  return new Uint8Array([...bytes, ...new Uint8Array(data.buffer, data.byteOffset, data.byteLength)]);
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** A zip without compression. */
function zip(files) {
  const [parts, names] = [[], []];
  let at = 0;
  for (const [name, data] of files) {
    const about = [20, 0, 0, 0, 0, 0, 0, 0, 33, 0, ...little(crc32(data), 4), ...little(data.length, 4)];
    about.push(...little(data.length, 4), ...little(name.length, 2), 0, 0);
    const local = [0x50, 0x4b, 3, 4, ...about, ...text(name)];
    names.push(...[0x50, 0x4b, 1, 2, 20, 0, ...about, ...Array(10).fill(0), ...little(at, 4), ...text(name)]);
    parts.push(Uint8Array.from(local), data);
    at += local.length + data.length;
  }
  const count = little(files.length, 2);
  const end = [0x50, 0x4b, 5, 6, 0, 0, 0, 0, ...count, ...count, ...little(names.length, 4), ...little(at, 4), 0, 0];
  return new Blob([...parts, Uint8Array.from([...names, ...end])], { type: "application/zip" });
}

/** Samples as `dcgan sample` writes them, and what they were drawn from: arr_0 uint8 (N, H, W, C), arr_1 labels, z. */
export function npz(pictures, latents, labels) {
  const { width, height, channels } = pictures[0];
  const pixels = new Uint8Array(pictures.flatMap((picture) => Array.from(picture.data)));
  const z = Float32Array.from(latents.flatMap((latent) => Array.from(latent)));
  const files = [["arr_0.npy", npy("|u1", [pictures.length, height, width, channels], pixels)]];
  if (labels) files.push(["arr_1.npy", npy("<i8", [labels.length], BigInt64Array.from(labels, BigInt))]);
  files.push(["z.npy", npy("<f4", [latents.length, latents[0].length], z)]);
  return zip(files);
}

/** Hand a file to the visitor. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
