// The language switch stays on the page: both sites have the same pages, below learn/en and learn/ko the learning pages.
document.addEventListener("DOMContentLoaded", () => {
  const links = [...document.querySelectorAll("a[hreflang]")];
  const home = (language) => links.find((link) => link.hreflang === language)?.href;
  const roots = { en: home("en"), ko: home("ko") };
  if (!roots.en || !roots.ko) return;
  const language = location.href.startsWith(roots.ko) ? "ko" : "en";
  const path = location.href.slice(roots[language].length).replace(/[?#].*/, "");
  for (const link of links) {
    link.href = roots[link.hreflang] + path.replace(/^learn\/(en|ko)\//, `learn/${link.hreflang}/`);
  }
});
