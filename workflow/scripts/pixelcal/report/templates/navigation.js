// Headings that a link leads to are not to lie under the navigation, however high it is.
const navigation = document.querySelector("nav");
function tell_height() {
  document.documentElement.style.setProperty("--nav", `${navigation.offsetHeight}px`);
}
tell_height();
new ResizeObserver(tell_height).observe(navigation);
