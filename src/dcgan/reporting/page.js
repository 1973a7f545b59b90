// The slider over time. Without it, and in print, several grids stand side by side.
const slider = document.querySelector("#when");
const frames = [...document.querySelectorAll("#over-time figure")];

function show(index) {
  frames.forEach((frame, i) => frame.classList.toggle("shown", i === index));
  slider.setAttribute("aria-valuetext", frames[index].dataset.when);
}

if (slider) {
  slider.hidden = false;
  document.querySelector("#over-time").classList.add("sliding");
  slider.addEventListener("input", () => show(Number(slider.value)));
  show(frames.length - 1);
}
