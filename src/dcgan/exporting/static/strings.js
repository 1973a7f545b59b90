// Every text that a page shows, in English and Korean. Values are filled in for {0}, {1} …

const TEXTS = {
  title: ["dcgan", "dcgan"],
  language: ["한국어", "English"],
  skip: ["Skip to the content", "본문으로 건너뛰기"],
  loading: ["Loading …", "불러오는 중 …"],
  failed: ["This did not work: {0}", "실패했습니다: {0}"],
  samples: ["Samples", "샘플"],
  seed: ["Seed", "시드"],
  another: ["Another seed", "다른 시드"],
  count: ["How many", "개수"],
  label: ["Class", "클래스"],
  every: ["every class in turn", "모든 클래스 차례로"],
  truncation: ["Truncation", "절단"],
  off: ["off", "끔"],
  directions: ["Directions", "방향"],
  pad: ["Drag: directions 1 (across) and 2 (up)", "끌어 보세요: 방향 1(가로)과 2(세로)"],
  direction: ["Direction {0}", "방향 {0}"],
  reset: ["Back to the middle", "가운데로"],
  sample: ["Sample {0}", "샘플 {0}"],
  sampleOf: ["Sample {0}, class {1}", "샘플 {0}, 클래스 {1}"],
  choose: ["Choose two or more samples to walk between them.", "샘플을 둘 이상 고르면 그 사이를 걸어갑니다."],
  walk: ["Walk between the chosen", "고른 샘플 사이 걷기"],
  walkShown: ["A walk between {0} {0:sample|samples}", "샘플 {0}개 사이의 걷기"],
  walkPosition: ["Position in the walk", "걷기의 위치"],
  mixWith: ["Mix with class", "섞을 클래스"],
  mixNone: ["none", "없음"],
  mixShare: ["Its share", "섞는 비율"],
  stopWalk: ["Stop the walk", "걷기 멈추기"],
  savePng: ["Save PNG", "PNG 저장"],
  saveGif: ["Save GIF", "GIF 저장"],
  saveNpz: ["Save .npz", ".npz 저장"],
  drawnIn: ["{0} {0:picture|pictures} in {1} ms", "이미지 {0}장, {1} ms"],
  pages: ["Pages", "페이지"],
  runs: ["Runs", "run"],
  watch: ["Watch", "지켜보기"],
  play: ["Play", "탐색"],
  draw: ["Draw", "그리기"],
  quiz: ["Real or fake?", "진짜? 가짜?"],
  run: ["Run", "run"],
  model: ["Model", "모델"],
  shipped: ["Included in dcgan", "dcgan에 들어 있는 모델"],
  tryShipped: ["dcgan includes trained models. Play with one:", "학습된 모델이 dcgan에 들어 있습니다. 탐색해 보세요:"],
  noRuns: ["There is no run to show yet. Start one on the page", "아직 보여 줄 run이 없습니다. 여기에서 시작하세요:"],
  noRunsYet: ["No run in this folder yet.", "이 폴더에는 아직 run이 없습니다."],
  startOne: ["Start a training", "학습 시작"],
  preset: ["Preset", "프리셋"],
  data: ["Data", "데이터"],
  minutesOf: ["Minutes", "분"],
  untilMinutes: ["Train up to minute", "몇 분까지 학습"],
  start: ["Start", "시작"],
  stop: ["Stop", "멈춤"],
  resume: ["Resume", "이어서"],
  more: ["Stop or resume", "멈추기, 이어서 하기"],
  state_loading: ["loading", "불러오는 중"],
  state_running: ["running", "학습 중"],
  state_done: ["done", "끝남"],
  state_stopped: ["stopped", "멈춤"],
  state_broken: ["broken", "손상됨"],
  state_failed: ["failed", "실패"],
  loadingHow: ["The data and the networks are being loaded.", "데이터와 네트워크를 불러오고 있습니다."],
  failedHow: ["It failed before there was a run to show. Mend what the message says, and start it again on the page Runs.", "run을 만들기 전에 실패했습니다. 메시지의 문제를 고친 뒤 run 페이지에서 다시 시작하세요."],
  trainingFailed: ["The training of {0} failed: {1}", "{0}의 학습이 실패했습니다: {1}"],
  dismiss: ["Dismiss", "닫기"],
  sent: ["…", "…"],
  stop_sent: ["Stopping: the run is saved first.", "멈추는 중: 먼저 run을 저장합니다."],
  resume_sent: ["Resuming …", "이어서 시작하는 중 …"],
  dismiss_sent: ["Dismissed.", "닫았습니다."],
  gone: ["There is no run {0}. It may have been deleted or renamed. Choose another one here, or on the page", "run {0}을(를) 찾을 수 없습니다. 지워졌거나 이름이 바뀌었을 수 있습니다. 여기나 다음 페이지에서 다른 run을 고르세요:"],
  unreachable: ["The studio does not answer as it should ({0}). This page tries again by itself; if it stays like this, start dcgan studio again.", "스튜디오가 제대로 응답하지 않습니다 ({0}). 이 페이지는 저절로 다시 시도합니다. 계속 이러면 dcgan studio를 다시 시작하세요."],
  lossReference: ["ln 2: D cannot tell", "ln 2: D가 구별하지 못함"],
  scoreReference: ["1/2: the optimum", "1/2: 최적"],
  previewOf: ["Samples of {0}", "{0}의 샘플"],
  steps: ["Steps", "스텝"],
  step: ["Step", "스텝"],
  images: ["Images seen", "본 이미지"],
  imagesSeen: ["{0} {0:image|images}", "이미지 {0}장"],
  trained: ["Training time", "학습 시간"],
  speed: ["Speed", "속도"],
  imagesASecond: ["{0} {0:image|images}/s", "초당 {0}장"],
  left: ["Time left", "남은 시간"],
  seconds: ["{0} s", "{0}초"],
  minutes: ["{0} min", "{0}분"],
  hours: ["{0} h", "{0}시간"],
  gridOf: ["Samples of {0}, always from the same latents", "같은 잠재 벡터에서 나온 {0}의 샘플이 변해 가는 모습"],
  back: ["Earlier samples", "시간 되돌리기"],
  losses: ["Losses", "손실"],
  scoresOf: ["Scores of the discriminator", "판별자의 점수"],
  automatic: ["automatic", "자동"],
  automaticHow: [
    "Chosen by the data: match for 20 to 20,000 color pictures, otherwise {0}, with other settings for long runs.",
    "데이터에 따라 고릅니다. 컬러 이미지 20~20,000장이면 match, 아니면 {0}이고, 길게 학습하면 설정을 바꿉니다.",
  ],
  manage: ["Note, rename, delete", "메모, 이름 변경, 삭제"],
  note: ["Note", "메모"],
  saveNote: ["Save the note", "메모 저장"],
  newName: ["New name", "새 이름"],
  rename: ["Rename", "이름 변경"],
  deleteRun: ["Delete …", "삭제 …"],
  deleteAsk: ["Delete {0} with its pictures, model and checkpoint? This cannot be undone.", "{0}의 이미지, 모델, 체크포인트를 모두 삭제할까요? 되돌릴 수 없습니다."],
  deleteForEver: ["Delete for ever", "완전히 삭제"],
  keepRun: ["Keep it", "그대로 두기"],
  changed: ["Done.", "완료했습니다."],
  qualityOf: ["Quality while training: {0}", "학습 중 품질: {0}"],
  imagesAxis: ["images seen", "본 이미지 수"],
  smooth: ["Smooth", "부드럽게"],
  logScale: ["Log scale", "로그 눈금"],
  noLines: ["Curves appear after the first log step.", "첫 기록이 나오면 곡선이 나타납니다."],
  health: ["Health", "건강"],
  advice: ["try {0}", "이렇게 해 보세요: {0}"],
  healthy: ["No problem has been found.", "문제가 발견되지 않았습니다."],
  metrics: ["Metrics", "지표"],
  board: ["Drawing board: draw a digit with the mouse or a finger", "그림판: 마우스나 손가락으로 숫자를 그리세요"],
  drawHow: ["Draw a digit. The studio finds the nearest picture that the model can draw.", "숫자를 그리면 모델이 그릴 수 있는 가장 가까운 이미지를 찾습니다."],
  find: ["Find the nearest", "가장 가까운 것 찾기"],
  clear: ["Clear", "지우기"],
  orFile: ["Or choose a picture file", "또는 이미지 파일"],
  nearest: ["The nearest picture that the model draws", "모델이 그린 가장 가까운 이미지"],
  drawFirst: ["Draw something first.", "먼저 그려 주세요."],
  noPicture: ["This file is not a picture.", "이미지 파일이 아닙니다."],
  searching: ["Searching …", "찾는 중 …"],
  found: ["Found. The difference from your picture is {0} of 255 (RMS).", "찾았습니다: 차이 {0} / 255 (RMS)."],
  ofClass: ["Class {0}.", "클래스 {0}."],
  walkOn: ["Continue from this picture", "여기서부터 걸어 보기"],
  real: ["real", "진짜"],
  fake: ["fake", "가짜"],
  pictureNo: ["Picture {0}", "이미지 {0}"],
  quizHow: ["Some of these pictures are real, the others are generated. Which ones are real?", "어떤 이미지는 진짜이고 어떤 이미지는 만들어졌습니다. 어느 것일까요?"],
  quizLeft: ["{0} left to guess", "{0}장 남음"],
  quizScore: ["You were right {0} {0:time|times} of {1} (95% interval {2} to {3}).", "{1}번 중 {0}번 맞혔습니다 (95% 구간 {2}–{3})."],
  quizCritic: ["The discriminator: {0} of {1}.", "판별자: {1}번 중 {0}번."],
  quizAgain: ["Other pictures", "다른 이미지로"],
  moveOn: ["from your drawing", "내가 그린 이미지에서"],
};

const LANGUAGES = ["en", "ko"];

function storedLanguage() {
  try {
    return localStorage.getItem("dcgan.language");
  } catch {
    return null; // a page that is opened from the disk may not be allowed to store anything
  }
}

/** Return the language to show: the one that the visitor chose, or else that of the browser. */
export function language() {
  const preferred = storedLanguage() || navigator.language || "en";
  return preferred.startsWith("ko") ? "ko" : "en";
}

/** Remember the language that the visitor chose. */
export function setLanguage(name) {
  try {
    localStorage.setItem("dcgan.language", name);
  } catch {
    // not stored: the choice lasts until the page is left
  }
}

/** Add the texts of a page: {key: [English, Korean], …}. */
export function addTexts(texts) {
  Object.assign(TEXTS, texts);
}

/** Return the one of [English, Korean] that is in the language of the page. */
export const currentText = (texts) => texts[LANGUAGES.indexOf(document.documentElement.lang === "ko" ? "ko" : "en")];

/** Return the text for `key` in the language of the page. `{0:file|files}` is the first word if value 0 is 1. */
export function t(key, ...values) {
  const fill = (_, i, one, many) => (one === undefined ? values[i] : String(values[i]) === "1" ? one : many);
  return currentText(TEXTS[key]).replace(/\{(\d)(?::([^|{}]*)\|([^|{}]*))?\}/g, fill);
}

/** Return a sentence; one that has stayed English on a Korean page as an element that tells screen readers so. */
export function markedText(text) {
  const isEnglish = /[a-z].*\s/i.test(text) && !/[가-힣]/.test(text);
  if (!isEnglish || document.documentElement.lang !== "ko") return text;
  return Object.assign(document.createElement("span"), { lang: "en", textContent: text });
}

/** Return the nodes of the text for `key`, whose values are sentences that may have stayed English. */
export function tNodes(key, ...values) {
  const parts = t(key, ...values.map((_, i) => `\n${i}\n`)).split("\n"); // no text has more than one line
  return parts.map((part, k) => (k % 2 ? markedText(values[Number(part)]) : part));
}

/** Return what a text of the server, which is in English, is called in the language of the page. */
export function translate(text) {
  const entry = Object.values(TEXTS).find(([english]) => english === text);
  return entry && document.documentElement.lang === "ko" ? entry[1] : text;
}
