// What the curves and figures of the studio mean, in English and Korean.

import { currentText } from "./web/strings.js";

/** page: the learning page of the documentation, docs/learn/LANGUAGE/PAGE.md, that says more. */
const TOPICS = [
  {
    id: "losses",
    page: "losses",
    title: ["Losses", "손실"],
    text: [
      "The discriminator's loss is low when it tells real pictures from generated ones; the generator's is low when it deceives the discriminator. They are opponents: neither falls to zero in a good training, and a low loss does not mean good pictures. With a cross-entropy, both near ln 2 = 0.69 mean that the discriminator cannot tell.",
      "판별자의 손실은 진짜와 생성된 이미지를 잘 구별할수록, 생성자의 손실은 판별자를 잘 속일수록 낮습니다. 서로 겨루므로 학습이 잘되어도 0이 되지 않고, 손실이 낮다고 이미지가 좋은 것도 아닙니다. 교차 엔트로피에서 둘 다 ln 2 = 0.69에 가까우면 판별자가 구별하지 못한다는 뜻입니다.",
    ],
  },
  {
    id: "scores",
    page: "optimum",
    title: ["Scores of the discriminator", "판별자의 점수"],
    text: [
      "D(x) is what the discriminator says of real pictures, D(G(z)) what it says of generated ones. Far apart: it always knows. Both near 1/2: it guesses, which is the optimum of the game.",
      "D(x)는 진짜 이미지에 대한 판별자의 답, D(G(z))는 생성된 이미지에 대한 답입니다. 멀리 떨어져 있으면 늘 알아맞히는 것이고, 둘 다 1/2에 가까우면 찍는 것으로 게임의 최적점입니다.",
    ],
  },
  {
    id: "quality",
    page: "difficulties",
    title: ["Measured quality", "측정한 품질"],
    text: [
      "The Fréchet distance compares features of many generated pictures with those of many real ones: less is better. It is never zero: two sets of real pictures have a distance too, the floor. Distances are comparable only with the same features and the same number of pictures.",
      "프레셰 거리는 생성된 이미지 여러 장과 진짜 이미지 여러 장의 특징을 비교하며 작을수록 좋습니다. 진짜끼리도 거리가 있어서(바닥값) 0이 되지는 않습니다. 같은 특징, 같은 장수로 잰 거리끼리만 비교할 수 있습니다.",
    ],
  },
  {
    id: "grid",
    page: "difficulties",
    title: ["The grid of samples", "샘플 격자"],
    text: [
      "Each place of the grid always has the same latent, so that you see one picture grow through the training. Look for variety as well as for sharpness: equal pictures are a collapse.",
      "격자의 각 칸은 늘 같은 잠재 벡터에서 나오므로 한 이미지가 학습하면서 자라는 모습을 볼 수 있습니다. 선명함뿐 아니라 다양함도 보세요. 모두 같아지면 붕괴입니다.",
    ],
  },
  {
    id: "health",
    page: "difficulties",
    title: ["Health", "건강"],
    text: [
      "While it trains, a run watches a few signals in its log, such as how varied its pictures are, and gives known problems a name. A diagnosis stops nothing; it says what to try.",
      "학습하는 동안 이미지가 얼마나 다양한지 같은 기록의 신호를 살펴 알려진 문제에 이름을 붙입니다. 진단은 학습을 멈추지 않고 무엇을 해 볼지 알려 줍니다.",
    ],
  },
  {
    id: "copies",
    page: "few-pictures",
    title: ["Copies of training pictures", "학습 이미지의 복사"],
    text: [
      "A generator should draw new pictures. If a sample is nearly equal to a training picture, it may be a copy; with few training pictures this is common.",
      "생성자는 새 이미지를 그려야 합니다. 샘플이 학습 이미지와 거의 같으면 베낀 것일 수 있고, 학습 이미지가 적을 때 흔합니다.",
    ],
  },
  {
    id: "latents",
    page: "index",
    title: ["Latents and directions", "잠재 벡터와 방향"],
    text: [
      "A latent z is the list of random numbers from which the generator draws a picture. A direction is a way through the space of latents along which the pictures change most; the pictures at the ends of a slider show how. Distances are in standard deviations of z.",
      "잠재 벡터 z는 생성자가 이미지를 그리는 데 쓰는 난수 목록입니다. 방향은 잠재 공간에서 이미지가 가장 많이 변하는 길이고, 슬라이더 양 끝의 이미지가 그 변화를 보여 줍니다. 거리의 단위는 z의 표준편차입니다.",
    ],
  },
  {
    id: "truncation",
    page: "index",
    title: ["Truncation", "절단"],
    text: [
      "Truncation limits each number of a latent. A lower limit gives more typical and less varied pictures.",
      "절단은 잠재 벡터의 각 수를 제한합니다. 낮을수록 더 전형적이고 덜 다양한 이미지가 나옵니다.",
    ],
  },
  {
    id: "styles",
    page: "few-pictures",
    title: ["Style mixing", "스타일 섞기"],
    text: [
      "In the networks of the preset match, a vector that is computed from the latent, the style, scales and shifts every layer. Two samples can therefore be mixed by layers: the first ones decide where something is, the later ones its colors. In the other networks the latent enters at the first layer only, so there is nothing to mix later.",
      "프리셋 match의 네트워크에서는 잠재 벡터로 계산한 벡터(스타일)가 층마다 크기와 이동을 정합니다. 그래서 두 샘플을 층별로 섞을 수 있습니다. 처음 층은 어디에 무엇이 있는지를, 나중 층은 색을 정합니다. 다른 네트워크에서는 잠재 벡터가 첫 층에만 들어가므로 나중에 섞을 것이 없습니다.",
    ],
  },
  {
    id: "opinion",
    page: "optimum",
    title: ["Where the discriminator looks", "판별자가 보는 곳"],
    text: [
      "The map is the gradient of the score by each pixel: how much the score would change if this pixel changed a little. It does not say whether the change would be up or down.",
      "지도는 픽셀마다의 점수의 기울기입니다. 그 픽셀이 조금 바뀌면 점수가 얼마나 바뀌는지를 보여 주며, 오르는지 내리는지는 말하지 않습니다.",
    ],
  },
  {
    id: "intervals",
    page: "difficulties",
    title: ["Intervals", "구간"],
    text: [
      "A figure is measured from a sample, so it has an interval: of 100 such intervals, about 95 contain the true value. If the intervals of two models overlap, this measurement does not show which one is better.",
      "지표는 표본에서 재므로 구간이 있습니다. 이런 구간 100개 가운데 약 95개가 참값을 포함합니다. 두 모델의 구간이 겹치면 이 측정으로는 어느 쪽이 나은지 알 수 없습니다.",
    ],
  },
  {
    id: "inversion",
    page: "index",
    title: ["The nearest latent", "가장 가까운 잠재 벡터"],
    text: [
      "The generator cannot be run backwards, so the studio searches: it starts from many samples and changes the latent until the picture is as near as it gets. What remains shows what the model cannot draw.",
      "생성자는 거꾸로 실행할 수 없으므로 탐색합니다. 여러 샘플에서 시작해 이미지가 최대한 가까워질 때까지 잠재 벡터를 바꿉니다. 남는 차이가 모델이 그리지 못하는 것입니다.",
    ],
  },
  {
    id: "quiz",
    page: "index",
    title: ["The blind test", "블라인드 테스트"],
    text: [
      "If you cannot tell, you are right half of the time. The interval says what your score can mean: if it contains 50%, you may have guessed. The real pictures were held out of the training.",
      "구별하지 못하면 절반을 맞힙니다. 구간에 50%가 들어 있으면 찍은 것일 수 있습니다. 진짜 이미지는 학습에 쓰지 않은 것입니다.",
    ],
  },
];

/** Return the topics in the language of the page: [{id, page, title, text}, …]. */
export const topics = () => TOPICS.map(({ id, page, title, text }) => ({ id, page, title: currentText(title), text: currentText(text) }));
