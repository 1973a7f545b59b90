// Sentences that the server sends in English, with values in them: what a training has found, what was refused, names.

import { currentText, markedText, tNodes, translate } from "./web/strings.js";

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
  ["a lower --lr, --preset wgan-gp or r3gan, or, with a discriminator, --augment diffaugment", "더 낮은 --lr, --preset wgan-gp나 r3gan, 또는 판별자가 있으면 --augment diffaugment"],
  ["a lower --lr, --betas 0.5 0.999, or a longer --ema", "더 낮은 --lr, --betas 0.5 0.999, 또는 더 긴 --ema"],
  ["more pictures, an earlier end with --patience, or, with a discriminator, --augment flip+diffaugment", "더 많은 이미지, --patience로 더 일찍 끝내기, 또는 판별자가 있으면 --augment flip+diffaugment"],
  ["a higher --lr, or another --preset", "더 높은 --lr, 또는 다른 --preset"],
];

/** The same of sentences whose values, such as names, stay as they are. */
const NAMING_TEXTS = [
  ["Fréchet distance", "Fréchet 거리"],
  ["Fréchet distance ({0}, {1})", "Fréchet 거리 ({0}, {1})"],
  ["Fréchet distance ↓", "Fréchet 거리 ↓"],
  ["Fréchet distance, n → ∞ ↓", "Fréchet 거리, n → ∞ ↓"],
  ["kernel distance (KID)", "커널 거리(KID)"],
  ["kernel distance (KID) ({0}, {1})", "커널 거리(KID) ({0}, {1})"],
  ["kernel distance (KID) ↓", "커널 거리(KID) ↓"],
  ["score of classes (IS) ↑", "클래스의 점수(IS) ↑"],
  ["F-score of the two ↑", "둘의 F-score ↑"],
  ["nearest: train / held-out → 1", "가장 가까운 이미지: 학습 / 남겨 둔 것 → 1"],
  ["distance to nearest train", "가장 가까운 학습 이미지까지의 거리"],
  ["entropy of the classes ↑", "클래스의 엔트로피 ↑"],
  ["draws the class asked for ↑", "주문한 클래스를 그림 ↑"],
  ["modes of 1,000 ↑", "1,000개 가운데 모드 수 ↑"],
  ["KL to uniform ↓", "균등 분포와의 KL ↓"],
  ["trained on fakes, real test ↑", "가짜로 학습해 진짜로 시험 ↑"],
  ["the default, for a CPU: good digits in a minute; groups of similar pictures replace labels", "기본값, CPU용: 1분이면 좋은 숫자. 비슷한 이미지의 그룹이 레이블을 대신합니다"],
  ["a folder of color pictures on a CPU: samples match real pictures in frozen features", "CPU에서 컬러 이미지 폴더용: 고정된 특징에서 샘플을 진짜 이미지에 맞춥니다"],
  ["the fully connected networks of the first GAN: any size, Adam 2e-4, 20,000 steps", "첫 GAN의 완전 연결 네트워크: 모든 크기, Adam 2e-4, 20,000 step"],
  ["the study's network and settings: 28x28, BatchNorm, Adam 2e-4, 11,500 steps", "스터디의 네트워크와 설정: 28x28, BatchNorm, Adam 2e-4, 11,500 step"],
  ["Radford et al. (2016) as published, at 64x64; any size from 16 to 256", "Radford et al. (2016)의 논문 그대로 64x64. 16에서 256까지 모든 크기"],
  ["Wasserstein critic with gradient penalty: more stable, five critic updates a step", "gradient penalty가 있는 Wasserstein 비평가: 더 안정적이고, 스텝마다 비평가를 다섯 번 갱신합니다"],
  ["conditional: you choose the class that is drawn; needs labels", "조건부: 그릴 클래스를 고릅니다. 레이블이 필요합니다"],
  ["the modern objective: relativistic pairs, R1 and R2, no normalization", "최근의 목적 함수: 상대적인 쌍, R1과 R2, 정규화 없음"],
  ["a name has up to {0} letters, digits and . _ + -, and begins with a letter or a digit", "이름은 글자, 숫자, . _ + - 로 {0}자까지이고 글자나 숫자로 시작합니다"],
  ["a name of a set has up to {0} letters, digits, - and _, and begins with a letter or a digit", "데이터의 이름은 글자, 숫자, - 와 _ 로 {0}자까지이고 글자나 숫자로 시작합니다"],
  ["name: String should have at least 1 character", "이름을 적으세요"],
  ["there is already something of the name {0}", "{0}(이)라는 이름이 이미 있습니다"],
  ["the name was not repeated: nothing is deleted", "이름이 다르므로 아무것도 지우지 않았습니다"],
  ["there is no run {0}", "run {0}이(가) 없습니다"],
  ["there is no preset {0}", "프리셋 {0}이(가) 없습니다"],
  ["{0} is running: stop it first", "{0}은(는) 학습 중입니다. 먼저 멈추세요"],
  ["{0} is running already", "{0}은(는) 이미 학습 중입니다"],
  ["{0} is not running", "{0}은(는) 학습 중이 아닙니다"],
  ["{0} trains {1}: stop it on that computer", "{0}이(가) {1}을(를) 학습하고 있습니다. 그 컴퓨터에서 멈추세요"],
  ["{0} trains {1} for another user, who can stop it", "{0}이(가) 다른 사용자의 이름으로 {1}을(를) 학습하고 있습니다. 그 사용자가 멈출 수 있습니다"],
  ["it is not known yet which process trains {0}: try again in a moment", "어느 프로세스가 {0}을(를) 학습하는지 아직 모릅니다. 잠시 뒤에 다시 해 보세요"],
  ["{0} trainings are running: stop one first", "학습 {0}개가 진행 중입니다. 먼저 하나를 멈추세요"],
  ["{0} has trained for {1} minutes already: give more than that, the minutes count from the run's start", "{0}은(는) 이미 {1}분 학습했습니다. 분은 run의 시작부터 세므로 그보다 큰 수를 적으세요"],
  ["minutes: Input should be greater than 0", "분은 0보다 커야 합니다"],
  ["minutes: Input should be less than or equal to {0}", "분은 {0} 이하여야 합니다"],
  ["minutes: Input should be a valid number", "분에 수를 적으세요"],
  ["the studio may not read {0}: it reads sets that have a name, and what lies below {1}; start it with --data-root FOLDER to allow another folder", "스튜디오가 {0}을(를) 읽을 수 없습니다. 이름이 있는 데이터와 {1} 아래의 데이터만 읽습니다. 다른 폴더를 허용하려면 --data-root FOLDER로 시작하세요"],
  ["the studio may not write data anywhere: start it with --data-root FOLDER", "스튜디오가 데이터를 저장할 곳이 없습니다. --data-root FOLDER로 시작하세요"],
  ["this check was ended for a later one: look at the data again", "나중에 시작한 확인 때문에 이 확인은 끝났습니다. 데이터를 다시 살펴보세요"],
  ["a file cannot be read or written: {0}", "파일을 읽거나 쓸 수 없습니다: {0}"],
  ["there is no data {0}", "데이터 {0}이(가) 없습니다"],
  ["an .mp4 needs the package av: {0}; or write a .gif or a .webp", ".mp4에는 패키지 av가 필요합니다: {0}. 아니면 GIF로 저장하세요"],
  ["a film needs at least two grids, and {0}/samples has {1}: train longer", "영상에는 격자가 두 장 이상 필요한데 {0}/samples에는 {1}장이 있습니다. 더 학습하세요"],
  ["busy: too many pictures are waiting to be drawn; try again in a moment", "그릴 이미지가 너무 많이 밀려 있습니다. 잠시 뒤에 다시 해 보세요"],
  ["{0}: give pictures ({1}) or a .zip of pictures", "{0}: 이미지({1})나 이미지의 .zip을 주세요"],
  ["{0} is not what its ending says: it is damaged, or of another type", "{0}의 내용이 확장자와 다릅니다. 망가졌거나 다른 종류의 파일입니다"],
  ["{0} holds an entry that points outside it: {1}; make the zip again", "{0}에 밖을 가리키는 항목이 있습니다: {1}. zip을 다시 만드세요"],
  ["a set is one zip, or pictures: send each zip by itself", "데이터는 zip 하나이거나 이미지들입니다. zip은 하나씩 보내세요"],
  ["{0} can no longer be read", "{0}: 더 이상 읽을 수 없습니다"],
  ["the set has a file {0} already", "데이터에 파일 {0}이(가) 이미 있습니다"],
];

/** Return the pattern of the sentences that an English text makes with values. */
function toPattern(english) {
  const escaped = english.replace(/[.*+?^$()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replace(/\{\d\}/g, "(.+)")}$`);
}

const withPatterns = (texts) => texts.map((both) => ({ both, pattern: toPattern(both[0]) }));
const [SENTENCES, NAMING_SENTENCES] = [withPatterns(TEXTS), withPatterns(NAMING_TEXTS)];

/** Return a text that fits one of the sentences in the language of the page, or null. */
function translateBy(sentences, text, translateValue) {
  const found = sentences.find(({ pattern }) => pattern.test(text));
  if (!found) return null;
  const values = found.pattern.exec(text).slice(1).map(translateValue);
  return currentText(found.both).replace(/\{(\d)\}/g, (_, k) => values[k]);
}

/** Return a text of the server in the language of the page; one that is unknown, such as of another version, as it is. */
export function translateText(text) {
  return translateBy(SENTENCES, text, translateText) ?? translateBy(NAMING_SENTENCES, text, (value) => value) ?? translate(text);
}

/** Return a text of the server as a node, which says it where it stays English on a Korean page. */
export const serverText = (text) => markedText(translateText(text));

/** Return the nodes of a text of the page in which texts of the server stand. */
export const withServerTexts = (key, ...texts) => tNodes(key, ...texts.map(translateText));
