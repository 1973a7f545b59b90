// A transposed convolution to play with: which input pixels touch which output pixels, and how many stamps meet in each.
"use strict";

{
  const { element, slider, text } = dcganFigures;
  const CELL = 26;

  /** Return the size of the output. Dilation is 1 here. */
  const outputSize = ({ size, kernel, stride, padding, output }) =>
    (size - 1) * stride - 2 * padding + (kernel - 1) + output + 1;

  /** Return the input positions, on one axis, whose stamps touch an output position. */
  const touching = ({ size, kernel, stride, padding }, position) =>
    [...Array(size).keys()].filter((i) => {
      const offset = position + padding - i * stride;
      return offset >= 0 && offset < kernel;
    });

  /** Return the smallest and the largest number of stamps far from the border, on one axis. */
  const innerCounts = ({ kernel, stride }) => [Math.floor(kernel / stride), Math.ceil(kernel / stride)];

  const explain = (settings, size) => {
    const { size: input, kernel, stride, padding, output } = settings;
    const formula = `H_out = (${input} − 1) · ${stride} − 2 · ${padding} + 1 · (${kernel} − 1) + ${output} + 1 = ${size}`;
    const [low, high] = innerCounts(settings);
    let verdict;
    if (low === 0) {
      verdict = text(
        "The stride is larger than the kernel: some pixels are touched by no stamp and keep only the bias.",
        "stride가 kernel보다 큽니다. 어떤 도장도 닿지 않는 픽셀이 있고, 그 픽셀에는 bias만 남습니다.",
      );
    } else if (low === high) {
      const count = low * low;
      verdict = text(
        `The stride divides the kernel size: inside, each pixel gets ${count} ${count === 1 ? "stamp" : "stamps"}. No checkerboard.`,
        `stride가 kernel 크기를 나눕니다. 가장자리를 빼면 모든 픽셀에 도장이 ${count}개씩 겹칩니다. 바둑판무늬가 생기지 않습니다.`,
      );
    } else {
      verdict = text(
        `The stride does not divide the kernel size: inside, pixels get ${low * low} to ${high * high} stamps. This is the checkerboard.`,
        `stride가 kernel 크기를 나누지 않습니다. 가장자리를 빼도 픽셀마다 도장이 ${low * low}개에서 ${high * high}개까지 다릅니다. 이것이 바둑판무늬입니다.`,
      );
    }
    return [formula, verdict];
  };

  const build = (root) => {
    const settings = { size: 3, kernel: 3, stride: 2, padding: 0, output: 0 };
    const formula = element("p", { class: "interactive-formula" });
    const verdict = element("p", { class: "interactive-verdict", "aria-live": "polite" });
    const status = element("p", { class: "interactive-status", "aria-live": "polite" });
    const grids = element("div", { class: "interactive-grids" });

    const draw = () => {
      const size = outputSize(settings);
      const [formulaText, verdictText] = explain(settings, size);
      formula.textContent = formulaText;
      status.textContent = "";
      grids.replaceChildren();
      if (size < 1) {
        verdict.textContent = text("No pixel is left: lower the padding.", "남는 픽셀이 없습니다. padding을 줄이세요.");
        return;
      }
      verdict.textContent = verdictText;
      const counts = Array.from({ length: size }, (_, i) => touching(settings, i).length);
      const most = Math.max(...counts) ** 2;
      const input = grid(settings.size, "input", () => ["", 0.08]);
      const output = grid(size, "output", (i, j) => {
        const count = counts[i] * counts[j];
        return [String(count), 0.08 + (0.72 * count) / Math.max(most, 1)];
      });
      connect(input, output, size);
      grids.append(
        element("figure", {}, input, element("figcaption", {}, `${text("input", "입력")} ${settings.size}×${settings.size}`)),
        element("figure", {}, output, element("figcaption", {}, `${text("output: stamps in each pixel", "출력: 픽셀마다 겹치는 도장 수")}, ${size}×${size}`)),
      );
    };

    const grid = (size, name, cell) => {
      const side = size * CELL + 2;
      const svg = element("svg", { viewBox: `-1 -1 ${side} ${side}`, class: `interactive-grid ${name}`, role: "group", "aria-label": name });
      svg.style.maxWidth = `${side}px`;
      for (let i = 0; i < size; i++) {
        for (let j = 0; j < size; j++) {
          const [words, shade] = cell(i, j);
          const rect = element("rect", { x: j * CELL, y: i * CELL, width: CELL, height: CELL, "fill-opacity": shade, tabindex: -1, "data-row": i, "data-column": j });
          rect.setAttribute("role", "img");
          rect.setAttribute("aria-label", `${text("row", "행")} ${i + 1}, ${text("column", "열")} ${j + 1}${words && `, ${words}`}`);
          svg.append(rect);
          if (words) svg.append(element("text", { x: j * CELL + CELL / 2, y: i * CELL + CELL / 2 }, words));
        }
      }
      svg.querySelector("rect").setAttribute("tabindex", 0);
      svg.addEventListener("keydown", (event) => moveFocus(event, svg));
      return svg;
    };

    const moveFocus = (event, svg) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      const here = event.target.dataset;
      if (!step || here.row === undefined) return;
      event.preventDefault();
      const next = svg.querySelector(`rect[data-row="${+here.row + step[0]}"][data-column="${+here.column + step[1]}"]`);
      if (next) {
        event.target.setAttribute("tabindex", -1);
        next.setAttribute("tabindex", 0);
        next.focus();
      }
    };

    const connect = (input, output, size) => {
      const mark = (svg, rows, columns) => {
        for (const rect of svg.querySelectorAll("rect")) {
          rect.classList.toggle("is-marked", rows.includes(+rect.dataset.row) && columns.includes(+rect.dataset.column));
        }
      };
      const outputsOf = (i) => [...Array(size).keys()].filter((o) => touching(settings, o).includes(i));
      const show = (rect, isOutput) => {
        const [row, column] = [+rect.dataset.row, +rect.dataset.column];
        const [rows, columns] = isOutput ? [touching(settings, row), touching(settings, column)] : [outputsOf(row), outputsOf(column)];
        mark(isOutput ? input : output, rows, columns);
        mark(isOutput ? output : input, [row], [column]);
        const count = rows.length * columns.length;
        status.textContent = isOutput
          ? text(`Output pixel (${row + 1}, ${column + 1}) is touched by ${count} input pixels.`, `출력 픽셀 (${row + 1}, ${column + 1})에는 입력 픽셀 ${count}개가 닿습니다.`)
          : text(`Input pixel (${row + 1}, ${column + 1}) stamps ${count} output pixels.`, `입력 픽셀 (${row + 1}, ${column + 1})은 출력 픽셀 ${count}개에 찍힙니다.`);
      };
      for (const [svg, isOutput] of [[input, false], [output, true]]) {
        for (const name of ["pointerover", "focusin", "click"]) {
          svg.addEventListener(name, (event) => event.target.matches("rect") && show(event.target, isOutput));
        }
      }
    };

    const outputSlider = slider("output", "output_padding", [0, 3], 0, (value) => {
      settings.output = Math.min(value, settings.stride - 1); // PyTorch allows no more
      syncOutput();
      draw();
    });
    const syncOutput = () => {
      outputSlider.querySelector("input").value = settings.output;
      outputSlider.querySelector("output").textContent = settings.output;
    };
    const set = (name) => (value) => {
      settings[name] = value;
      settings.output = Math.min(settings.output, settings.stride - 1);
      syncOutput();
      draw();
    };
    root.append(
      element(
        "div",
        { class: "interactive-controls" },
        slider("size", "H_in", [1, 6], settings.size, set("size")),
        slider("kernel", "kernel_size", [1, 6], settings.kernel, set("kernel")),
        slider("stride", "stride", [1, 4], settings.stride, set("stride")),
        slider("padding", "padding", [0, 3], settings.padding, set("padding")),
        outputSlider,
      ),
      formula,
      verdict,
      grids,
      status,
    );
    draw();
  };

  dcganFigures.transposedConvolution = { outputSize, touching };
  dcganFigures.register("transposed-convolution", build);
}
