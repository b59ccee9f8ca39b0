// Draws the charts of the page from the figures that stand in it as JSON.
const figures = JSON.parse(document.getElementById("data").textContent);
figures.forEach(({ data, layout }, i) => {
  const common = { font: { family: "system-ui, sans-serif", size: 11 }, hovermode: "closest" };
  window.Plotly.newPlot(`plot${i}`, data, { ...common, ...layout }, { displaylogo: false, responsive: true });
});
document.body.dataset.drawn = String(figures.length);
