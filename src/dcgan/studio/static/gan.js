// A GAN in the plane that trains in the page: two small networks, their gradients by hand, Adam. Nothing is downloaded.
"use strict";

{
  const { element, button, choice, slider, text } = dcganFigures;
  const BATCH = 64;
  const RANGE = 2.2; // the picture shows [-RANGE, RANGE] in both directions
  const FIELD = 44; // cells of the discriminator's field on a side
  const SHOWN = 256; // points that are drawn
  const WIDTH = 24;

  /** Return a function that returns numbers in [0, 1): mulberry32. The same seed gives the same numbers. */
  const makeRandom = (seed) => () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };

  /** Return a draw of N(0, 1). */
  const normal = (random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

  const sigmoid = (s) => 1 / (1 + Math.exp(-s));
  /** log(1 + e^s), exact for large s. */
  const softplus = (s) => Math.max(s, 0) + Math.log1p(Math.exp(-Math.abs(s)));
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

  /** Fully connected layers with LeakyReLU(0.2) between them. */
  class Mlp {
    constructor(sizes, random) {
      this.layers = sizes.slice(1).map((outputs, i) => {
        const inputs = sizes[i];
        const scale = Math.sqrt(2 / inputs);
        return {
          inputs,
          outputs,
          weights: Float64Array.from({ length: inputs * outputs + outputs }, (_, k) => (k < inputs * outputs ? scale * normal(random) : 0)),
          gradient: new Float64Array(inputs * outputs + outputs),
          second: new Float64Array(inputs * outputs + outputs),
        };
      });
      this.updates = 0;
    }

    /** Return the outputs of n inputs, which are rows of a flat array; the layers keep what `backward` needs. */
    forward(values, n) {
      this.layers.forEach((layer, index) => {
        const { inputs, outputs, weights } = layer;
        layer.values = values;
        const sums = new Float64Array(n * outputs);
        for (let row = 0; row < n; row++) {
          for (let o = 0; o < outputs; o++) {
            let sum = weights[inputs * outputs + o];
            for (let i = 0; i < inputs; i++) sum += weights[o * inputs + i] * values[row * inputs + i];
            sums[row * outputs + o] = sum;
          }
        }
        layer.sums = sums;
        values = index < this.layers.length - 1 ? sums.map((sum) => (sum > 0 ? sum : 0.2 * sum)) : sums;
      });
      return values;
    }

    /** Add the gradients of the weights for the gradient at the outputs, and return the gradient at the inputs. */
    backward(gradient, n) {
      for (let index = this.layers.length - 1; index >= 0; index--) {
        const { inputs, outputs, weights, gradient: total, values, sums } = this.layers[index];
        if (index < this.layers.length - 1) gradient = gradient.map((g, k) => (sums[k] > 0 ? g : 0.2 * g));
        const before = new Float64Array(n * inputs);
        for (let row = 0; row < n; row++) {
          for (let o = 0; o < outputs; o++) {
            const g = gradient[row * outputs + o];
            total[inputs * outputs + o] += g;
            for (let i = 0; i < inputs; i++) {
              total[o * inputs + i] += g * values[row * inputs + i];
              before[row * inputs + i] += g * weights[o * inputs + i];
            }
          }
        }
        gradient = before;
      }
      return gradient;
    }

    zeroGradient() {
      for (const layer of this.layers) layer.gradient.fill(0);
    }

    /** Return the length of the gradient of all weights. */
    gradientLength() {
      return Math.sqrt(this.layers.reduce((sum, layer) => sum + layer.gradient.reduce((s, g) => s + g * g, 0), 0));
    }

    /** Do one step of Adam with betas (0, 0.999): momentum makes the two players overshoot. */
    update(rate) {
      this.updates++;
      const correction = Math.sqrt(1 - 0.999 ** this.updates);
      for (const { weights, gradient, second } of this.layers) {
        for (let k = 0; k < weights.length; k++) {
          second[k] += 0.001 * (gradient[k] ** 2 - second[k]);
          weights[k] -= (rate * correction * gradient[k]) / (Math.sqrt(second[k]) + 1e-8);
        }
      }
    }
  }

  /** Return n points (x, y) of the data in a flat array. */
  const drawData = (name, n, random) => {
    const points = new Float64Array(2 * n);
    for (let i = 0; i < n; i++) {
      const angle = (2 * Math.PI * Math.floor(8 * random())) / 8;
      const [x, y, spread] = name === "ring" ? [1.4 * Math.cos(angle), 1.4 * Math.sin(angle), 0.08] : [0.6, -0.4, 0.45];
      points[2 * i] = x + spread * normal(random);
      points[2 * i + 1] = y + spread * normal(random);
    }
    return points;
  };

  /** What G minimizes for a score s, and its derivative. */
  const GENERATOR_LOSSES = {
    "non-saturating": { value: (s) => softplus(-s), slope: (s) => sigmoid(s) - 1 },
    minimax: { value: (s) => -softplus(s), slope: (s) => -sigmoid(s) },
  };

  /** The game: both networks, the data, and one step of each. */
  class Game {
    constructor({ data = "blob", loss = "non-saturating", criticSteps = 1, rate = 0.002, seed = 0 } = {}) {
      Object.assign(this, { data, loss, criticSteps, rate });
      this.random = makeRandom(seed + 1);
      this.generator = new Mlp([2, WIDTH, WIDTH, 2], this.random);
      this.discriminator = new Mlp([2, WIDTH, WIDTH, 1], this.random);
      const fixed = makeRandom(seed + 1000);
      this.shownLatents = Float64Array.from({ length: 2 * SHOWN }, () => normal(fixed));
      this.shownData = drawData(data, SHOWN, fixed);
      this.steps = 0;
    }

    latents(n) {
      return Float64Array.from({ length: 2 * n }, () => normal(this.random));
    }

    /** Update D once on reals and fakes: the mean of both cross-entropies, as in the study. */
    stepDiscriminator() {
      const fakes = this.generator.forward(this.latents(BATCH), BATCH);
      const batch = new Float64Array(4 * BATCH);
      batch.set(drawData(this.data, BATCH, this.random));
      batch.set(fakes, 2 * BATCH);
      const scores = this.discriminator.forward(batch, 2 * BATCH);
      this.discriminator.zeroGradient();
      this.discriminator.backward(
        scores.map((s, i) => (sigmoid(s) - (i < BATCH ? 1 : 0)) / (2 * BATCH)),
        2 * BATCH,
      );
      this.discriminator.update(3 * this.rate); // so that D keeps up with G
      this.lossD = mean(scores.map((s, i) => softplus(i < BATCH ? -s : s)));
    }

    /** Update G once, and keep how long its gradient is by both losses, at the same weights. */
    stepGenerator() {
      const latents = this.latents(BATCH);
      const scores = this.discriminator.forward(this.generator.forward(latents, BATCH), BATCH);
      this.lengths = {};
      for (const name of [...Object.keys(GENERATOR_LOSSES).filter((other) => other !== this.loss), this.loss]) {
        const { slope } = GENERATOR_LOSSES[name];
        this.generator.zeroGradient();
        this.generator.backward(this.discriminator.backward(scores.map((s) => slope(s) / BATCH), BATCH), BATCH);
        this.lengths[name] = this.generator.gradientLength();
      }
      this.generator.update(this.rate);
      this.lossG = mean(scores.map(GENERATOR_LOSSES[this.loss].value));
    }

    step(count = 1) {
      for (let i = 0; i < count; i++) {
        for (let k = 0; k < this.criticSteps; k++) this.stepDiscriminator();
        this.stepGenerator();
        this.steps++;
      }
    }

    /** Return the generator's points for the latents that are shown. */
    points() {
      return this.generator.forward(this.shownLatents, SHOWN);
    }

    /** Return D's probabilities at points. */
    probabilities(points) {
      return this.discriminator.forward(points, points.length / 2).map(sigmoid);
    }
  }

  /** Return D's probability in each cell of the field, row after row from the top. */
  const field = (game) => {
    const points = new Float64Array(2 * FIELD * FIELD);
    for (let i = 0; i < FIELD; i++) {
      for (let j = 0; j < FIELD; j++) {
        points[2 * (i * FIELD + j)] = RANGE * ((2 * (j + 0.5)) / FIELD - 1);
        points[2 * (i * FIELD + j) + 1] = -RANGE * ((2 * (i + 0.5)) / FIELD - 1);
      }
    }
    return game.probabilities(points);
  };

  const BLUE = [47, 109, 179];
  const ORANGE = [208, 112, 28];
  const PAPER = [251, 250, 246];

  const draw = (canvas, game) => {
    const context = canvas.getContext("2d");
    const side = canvas.width;
    const cell = side / FIELD;
    field(game).forEach((probability, index) => {
      const strength = Math.min(1, 1.6 * Math.abs(probability - 0.5)) * 0.75;
      const color = (probability > 0.5 ? BLUE : ORANGE).map((c, k) => Math.round(PAPER[k] + strength * (c - PAPER[k])));
      context.fillStyle = `rgb(${color})`;
      context.fillRect(Math.floor((index % FIELD) * cell), Math.floor(Math.floor(index / FIELD) * cell), Math.ceil(cell), Math.ceil(cell));
    });
    const dots = (points, color, shape) => {
      context.fillStyle = color;
      context.strokeStyle = "#fff";
      context.lineWidth = side / 500;
      for (let i = 0; i < points.length; i += 2) {
        const [x, y] = [side * (0.5 + points[i] / (2 * RANGE)), side * (0.5 - points[i + 1] / (2 * RANGE))];
        context.beginPath();
        if (shape === "square") context.rect(x - side / 160, y - side / 160, side / 80, side / 80);
        else context.arc(x, y, side / 140, 0, 2 * Math.PI);
        context.fill();
        context.stroke();
      }
    };
    dots(game.shownData, "#1d4f8a", "square");
    dots(game.points(), "#b3550a", "circle");
  };

  const build = (root) => {
    const options = { data: "blob", loss: "non-saturating", criticSteps: 1, seed: 0 };
    let game = new Game(options);
    let frame = 0;
    const canvas = element("canvas", { width: 560, height: 560, class: "interactive-canvas", role: "img" });
    canvas.setAttribute(
      "aria-label",
      text("Blue squares: data. Orange circles: what G draws. Background: D, blue for real, orange for fake.", "파란 사각형: 데이터. 주황색 원: G가 그린 점. 배경: D의 판단. 파랑은 진짜, 주황은 가짜."),
    );
    const numbers = element("dl", { class: "interactive-numbers" });
    const verdict = element("p", { class: "interactive-verdict" });

    const show = () => {
      draw(canvas, game);
      const [real, fake] = [mean(game.probabilities(game.shownData)), mean(game.probabilities(game.points()))];
      const distance = mean([...game.probabilities(game.shownData), ...game.probabilities(game.points())].map((p) => Math.abs(p - 0.5)));
      const entries = [
        [text("step", "step"), game.steps],
        ["D(x)", real.toFixed(3)],
        ["D(G(z))", fake.toFixed(3)],
        [text("mean |D − 1/2|", "|D − 1/2|의 평균"), distance.toFixed(3)],
        ["Loss_D", game.lossD?.toFixed(3) ?? "–"],
        ["Loss_G", game.lossG?.toFixed(3) ?? "–"],
        [text("G's gradient, non-saturating", "G의 그래디언트 크기, non-saturating"), game.lengths?.["non-saturating"].toPrecision(2) ?? "–"],
        [text("G's gradient, minimax", "G의 그래디언트 크기, minimax"), game.lengths?.minimax.toPrecision(2) ?? "–"],
      ];
      numbers.replaceChildren(...entries.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, String(value)))));
      verdict.textContent = game.steps > 100 && distance < 0.05
        ? text("D is near 1/2 at every point: it cannot tell the two apart.", "모든 점에서 D가 1/2에 가깝습니다. 진짜와 가짜를 구별하지 못합니다.")
        : fake < 0.1
          ? text("D is sure that G's points are fake. Compare the two gradients.", "D가 G의 점을 가짜라고 확신합니다. 두 그래디언트의 크기를 비교해 보세요.")
          : "";
    };

    const run = () => {
      if (!root.isConnected) return stop(); // the visitor has gone to another page of the studio
      game.step(4);
      show();
      frame = requestAnimationFrame(run);
    };
    const stop = () => {
      cancelAnimationFrame(frame);
      frame = 0;
      startButton.textContent = text("Train", "학습");
    };
    const startButton = button("train", text("Train", "학습"), () => {
      if (frame) return stop();
      startButton.textContent = text("Pause", "멈춤");
      run();
    });
    const restart = () => {
      stop();
      game = root.game = new Game(options);
      show();
    };
    const set = (name, value) => {
      options[name] = value;
      restart();
    };

    root.append(
      element(
        "div",
        { class: "interactive-controls" },
        choice("data", text("data", "데이터"), [["blob", text("one cloud", "구름 하나")], ["ring", text("eight clouds", "구름 여덟 개")]], (value) => set("data", value)),
        choice("loss", text("G's loss", "G의 손실"), [["non-saturating", "non-saturating"], ["minimax", "minimax"]], (value) => set("loss", value)),
        slider("critic", text("updates of D in a step", "step마다 D의 업데이트 수"), [1, 20], 1, (value) => set("criticSteps", value)),
      ),
      element(
        "div",
        { class: "interactive-buttons" },
        startButton,
        button("step", text("100 steps", "100 step"), () => {
          game.step(100);
          show();
        }),
        button("again", text("Start again", "처음부터"), () => set("seed", options.seed + 1)),
      ),
      element("div", { class: "interactive-side" }, canvas, element("div", {}, numbers, verdict)),
    );
    root.game = game;
    show();
  };

  dcganFigures.gan = { Mlp, Game, GENERATOR_LOSSES, makeRandom, sigmoid };
  dcganFigures.register("gan", build);
}
