// Images as files, made in the browser: PNG, GIF, npz. An image is { width, height, channels, data: Uint8Array (H, W, C) }.

const GRID_GAP = 2; // pixels between the pictures of a grid, and around them
const FRAME_HUNDREDTHS = 6; // how long a frame of an animation lasts, in hundredths of a second

/** Return an image as RGBA pixels for a canvas. */
export function toImageData({ width, height, channels, data }) {
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let i = 0; i < width * height; i++) {
    const at = i * channels;
    pixels[4 * i] = data[at];
    pixels[4 * i + 1] = data[at + (channels > 1 ? 1 : 0)];
    pixels[4 * i + 2] = data[at + (channels > 1 ? 2 : 0)];
    pixels[4 * i + 3] = channels === 4 ? data[at + 3] : 255;
  }
  return new ImageData(pixels, width, height);
}

/** Show an image on a canvas, pixel by pixel. */
export function paint(canvas, image) {
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d").putImageData(toImageData(image), 0, 0);
}

/** Return a grid of the images, on black, as a PNG. */
export function toPng(images) {
  const [cellWidth, cellHeight] = [images[0].width + GRID_GAP, images[0].height + GRID_GAP];
  const columns = Math.ceil(Math.sqrt(images.length));
  const canvas = document.createElement("canvas");
  canvas.width = columns * cellWidth + GRID_GAP;
  canvas.height = Math.ceil(images.length / columns) * cellHeight + GRID_GAP;
  const context = canvas.getContext("2d");
  context.fillRect(0, 0, canvas.width, canvas.height);
  images.forEach((image, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    context.putImageData(toImageData(image), GRID_GAP + column * cellWidth, GRID_GAP + row * cellHeight);
  });
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

const littleEndian = (value, count) => Array.from({ length: count }, (_, i) => Math.floor(value / 256 ** i) & 255);
const asciiBytes = (text) => Array.from(text, (c) => c.charCodeAt(0));

/** Return the colors of a GIF: 256 grays, or 6 x 7 x 6 colors. */
function gifPalette(isGray) {
  if (isGray) return Array.from({ length: 256 }, (_, i) => [i, i, i]).flat();
  const colors = [];
  for (let r = 0; r < 6; r++)
    for (let g = 0; g < 7; g++) for (let b = 0; b < 6; b++) colors.push(r * 51, Math.round(g * 42.5), b * 51);
  return [...colors, ...Array(12).fill(0)];
}

/** Return the index of the nearest color in the palette for each pixel. */
function paletteIndices({ width, height, channels, data }) {
  if (channels === 1) return data;
  return Uint8Array.from({ length: width * height }, (_, i) => {
    const pixel = data.subarray(i * channels, (i + 1) * channels);
    const alpha = channels === 4 ? pixel[3] / 255 : 1;
    const [r, g, b] = [0, 1, 2].map((c) => alpha * pixel[c] + (1 - alpha) * 255); // on white, as the films of Python
    return Math.round(r / 51) * 42 + Math.round(g / 42.5) * 6 + Math.round(b / 51);
  });
}

/** Compress by LZW as GIF does it: codes of 9 to 12 bits, in blocks of at most 255 bytes. */
function compressLzw(pixels) {
  const [clearCode, endCode] = [256, 257];
  const bytes = [];
  let [bitCount, bitBuffer, codeWidth, nextCode, table] = [0, 0, 9, 258, new Map()];
  const writeCode = (code) => {
    bitBuffer |= code << bitCount;
    for (bitCount += codeWidth; bitCount >= 8; bitCount -= 8, bitBuffer >>>= 8) bytes.push(bitBuffer & 255);
  };
  writeCode(clearCode);
  let prefix = pixels[0];
  for (let i = 1; i < pixels.length; i++) {
    const key = prefix * 256 + pixels[i];
    if (table.has(key)) {
      prefix = table.get(key);
      continue;
    }
    writeCode(prefix);
    prefix = pixels[i];
    if (nextCode === 4096) {
      writeCode(clearCode);
      [codeWidth, nextCode, table] = [9, 258, new Map()];
    } else {
      table.set(key, nextCode);
      if (nextCode === 1 << codeWidth) codeWidth++;
      nextCode++;
    }
  }
  writeCode(prefix);
  writeCode(endCode);
  if (bitCount) bytes.push(bitBuffer & 255);
  const blocks = [];
  for (let i = 0; i < bytes.length; i += 255) blocks.push(Math.min(255, bytes.length - i), ...bytes.slice(i, i + 255));
  return [8, ...blocks, 0];
}

/** Return the images as an animation that repeats. */
export function toGif(images) {
  const { width, height, channels } = images[0];
  const size = [...littleEndian(width, 2), ...littleEndian(height, 2)];
  const bytes = [...asciiBytes("GIF89a"), ...size, 0xf7, 0, 0, ...gifPalette(channels === 1)];
  bytes.push(0x21, 0xff, 11, ...asciiBytes("NETSCAPE2.0"), 3, 1, 0, 0, 0);
  for (const image of images) {
    bytes.push(0x21, 0xf9, 4, 4, FRAME_HUNDREDTHS, 0, 0, 0, 0x2c, 0, 0, 0, 0, ...size, 0);
    for (const byte of compressLzw(paletteIndices(image))) bytes.push(byte);
  }
  bytes.push(0x3b);
  return new Blob([Uint8Array.from(bytes)], { type: "image/gif" });
}

/** Return an array as an .npy file; `dtype` is NumPy's name, such as "<f4". */
function toNpy(dtype, shape, data) {
  const header = `{'descr': '${dtype}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const padded = header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11) + "\n";
  const bytes = [0x93, ...asciiBytes("NUMPY"), 1, 0, ...littleEndian(padded.length, 2), ...asciiBytes(padded)];
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

/** Return [name, bytes] pairs as a zip file without compression. */
function toZip(files) {
  const [parts, directory] = [[], []];
  let offset = 0;
  for (const [name, data] of files) {
    const size = littleEndian(data.length, 4);
    const fields = [20, 0, 0, 0, 0, 0, 0, 0, 33, 0, ...littleEndian(crc32(data), 4), ...size, ...size];
    fields.push(...littleEndian(name.length, 2), 0, 0);
    const header = [0x50, 0x4b, 3, 4, ...fields, ...asciiBytes(name)];
    directory.push(0x50, 0x4b, 1, 2, 20, 0, ...fields, ...Array(10).fill(0), ...littleEndian(offset, 4), ...asciiBytes(name));
    parts.push(Uint8Array.from(header), data);
    offset += header.length + data.length;
  }
  const count = littleEndian(files.length, 2);
  const sizes = [...littleEndian(directory.length, 4), ...littleEndian(offset, 4)];
  const end = [0x50, 0x4b, 5, 6, 0, 0, 0, 0, ...count, ...count, ...sizes, 0, 0];
  return new Blob([...parts, Uint8Array.from([...directory, ...end])], { type: "application/zip" });
}

/** Return samples as `dcgan sample` writes them, with their latents: arr_0 uint8 (N, H, W, C), arr_1 labels, z. */
export function toNpz(images, latents, labels) {
  const { width, height, channels } = images[0];
  const pixels = new Uint8Array(images.flatMap((image) => Array.from(image.data)));
  const z = Float32Array.from(latents.flatMap((latent) => Array.from(latent)));
  const files = [["arr_0.npy", toNpy("|u1", [images.length, height, width, channels], pixels)]];
  if (labels) files.push(["arr_1.npy", toNpy("<i8", [labels.length], BigInt64Array.from(labels, BigInt))]);
  files.push(["z.npy", toNpy("<f4", [latents.length, latents[0].length], z)]);
  return toZip(files);
}

/** Let the visitor's browser save a file. */
export function downloadFile(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
