// The slider that shows one grid at a time. Without scripts, and in print, several grids stand side by side.
const slider = document.querySelector("#grid-slider");
const grids = [...document.querySelectorAll("#grids figure")];

function showGrid(index) {
  grids.forEach((grid, i) => grid.classList.toggle("shown", i === index));
  slider.setAttribute("aria-valuetext", grids[index].dataset.caption);
}

if (slider) {
  slider.hidden = false;
  document.querySelector("#grids").classList.add("sliding");
  slider.addEventListener("input", () => showGrid(Number(slider.value)));
  showGrid(grids.length - 1);
}
