// Every word that a page shows, English and Korean. {0}, {1} … are filled in.

const WORDS = {
  title: ["dcgan", "dcgan"],
  language: ["한국어", "English"],
  skip: ["Skip to the content", "본문으로 건너뛰기"],
  loading: ["Loading …", "불러오는 중 …"],
  failed: ["That did not work: {0}", "실패했습니다: {0}"],
  samples: ["Samples", "표본"],
  seed: ["Seed", "시드"],
  another: ["Another seed", "다른 시드"],
  count: ["How many", "개수"],
  label: ["Class", "클래스"],
  every: ["every class in turn", "모든 클래스 차례로"],
  truncation: ["Truncation", "절단"],
  off: ["off", "끔"],
  directions: ["Directions", "방향"],
  pad: ["Drag: directions 1 (across) and 2 (up)", "끌기: 방향 1(가로)과 2(세로)"],
  direction: ["Direction {0}", "방향 {0}"],
  reset: ["Back to the middle", "가운데로"],
  sample: ["Sample {0}", "표본 {0}"],
  sampleOf: ["Sample {0}, class {1}", "표본 {0}, 클래스 {1}"],
  choose: ["Choose two or more samples to walk between them.", "둘 이상의 표본을 고르면 그 사이를 걸어갑니다."],
  walk: ["Walk between the chosen", "고른 표본 사이 걷기"],
  walkShown: ["A walk between {0} samples", "표본 {0}개 사이의 걷기"],
  stopWalk: ["Stop the walk", "걷기 멈추기"],
  savePng: ["Save PNG", "PNG 저장"],
  saveGif: ["Save GIF", "GIF 저장"],
  saveNpz: ["Save .npz", ".npz 저장"],
  drawnIn: ["{0} pictures in {1} ms", "그림 {0}장, {1} ms"],
  moveOn: ["from your drawing", "그린 그림에서"],
};

const LANGUAGES = ["en", "ko"];

function remembered() {
  try {
    return localStorage.getItem("dcgan.language");
  } catch {
    return null; // a page from the disk may not be allowed to
  }
}

export function language() {
  const wanted = remembered() || navigator.language || "en";
  return wanted.startsWith("ko") ? "ko" : "en";
}

export function setLanguage(name) {
  try {
    localStorage.setItem("dcgan.language", name);
  } catch {
    // then it holds until the page is left
  }
}

/** The words for `key` in the visitor's language. */
export function t(key, ...values) {
  const words = WORDS[key][LANGUAGES.indexOf(document.documentElement.lang === "ko" ? "ko" : "en")];
  return words.replace(/\{(\d)\}/g, (_, i) => values[i]);
}
