// Sentences that the server sends in English, with numbers in them: what the training has found, and names of lines.

import { currentText, translate } from "./web/strings.js";

/** English and Korean. What stands for {0}, {1} … in one is put into the other, and is translated itself. */
const TEXTS = [
  ["floor: real against real", "바닥값: 진짜끼리"],
  ["{0} was not finite at step {1}", "스텝 {1}에서 {0}이(가) 유한한 수가 아니었습니다"],
  ["the discriminator's loss", "판별자의 손실"],
  ["the discriminator's gradient", "판별자의 기울기"],
  ["the generator's loss", "생성자의 손실"],
  ["the generator's gradient", "생성자의 기울기"],
  ["a weight", "가중치"],
  ["D scores the real picture higher in only {0} of pairs; guessing gives 50%", "D가 진짜 이미지에 더 높은 점수를 준 쌍이 {0}뿐입니다. 찍어도 50%입니다"],
  ["D scores the real picture higher in {0} of pairs, and {1}", "D가 진짜 이미지에 더 높은 점수를 준 쌍이 {0}이고, {1}"],
  ["the pictures do not get nearer to real ones", "이미지가 진짜에 더 가까워지지 않습니다"],
  ["G's gradient is {0} of what it was", "G의 기울기가 가장 컸을 때의 {0}입니다"],
  ["diversity fell from {0} to {1}", "다양성이 {0}에서 {1}(으)로 떨어졌습니다"],
  ["{0} classes are drawn; there were {1}", "그리는 클래스가 {0}개입니다. 전에는 {1}개였습니다"],
  ["the pictures' {0} turned {1} times by more than {2}", "이미지의 {0}이(가) {2} 넘게 {1}번 방향을 바꾸었습니다"],
  ["distance to real pictures", "진짜 이미지까지의 거리"],
  ["diversity", "다양성"],
  [
    "generated pictures are {0} times as far from a training picture as training pictures are from each other",
    "생성된 이미지에서 학습 이미지까지의 거리가 학습 이미지끼리의 거리의 {0}배입니다",
  ],
  ["after {0} images the pictures are no nearer to real ones than at the start", "이미지 {0}장을 보고도 처음보다 진짜에 가까워지지 않았습니다"],
  ["a lower --lr from the start; this run goes back and halves it", "처음부터 더 낮은 --lr. 이 run은 되돌아가서 반으로 줄입니다"],
  [
    "a lower --d-lr, --n-critic 1, --label-smoothing 0.1, or --loss non-saturating",
    "더 낮은 --d-lr, --n-critic 1, --label-smoothing 0.1, 또는 --loss non-saturating",
  ],
  ["a higher --d-lr, --n-critic 2, or a larger --d-width", "더 높은 --d-lr, --n-critic 2, 또는 더 큰 --d-width"],
  ["a lower --lr, --augment diffaugment, or --preset wgan-gp or r3gan", "더 낮은 --lr, --augment diffaugment, 또는 --preset wgan-gp나 r3gan"],
  ["a lower --lr, --betas 0.5 0.999, or a longer --ema", "더 낮은 --lr, --betas 0.5 0.999, 또는 더 긴 --ema"],
  ["more pictures, --augment flip+diffaugment, or an earlier end with --patience", "더 많은 이미지, --augment flip+diffaugment, 또는 --patience로 더 일찍 끝내기"],
  ["a higher --lr, or another --preset", "더 높은 --lr, 또는 다른 --preset"],
];

/** Return the pattern of the sentences that an English text makes with values. */
function toPattern(english) {
  const escaped = english.replace(/[.*+?^$()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replace(/\{\d\}/g, "(.+)")}$`);
}

const PATTERNS = TEXTS.map(([english]) => toPattern(english));

/** Return a text of the server in the language of the page; one that is unknown, such as of another version, as it is. */
export function translateText(text) {
  const i = PATTERNS.findIndex((pattern) => pattern.test(text));
  if (i < 0) return translate(text);
  const values = PATTERNS[i].exec(text).slice(1).map(translateText);
  return currentText(TEXTS[i]).replace(/\{(\d)\}/g, (_, k) => values[k]);
}
