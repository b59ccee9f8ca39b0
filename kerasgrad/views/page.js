// Draws the charts of the page from the figures that stand in it as JSON.
// Nothing is ever sent: plotly's button that uploads a chart is off, and there is no address that it could go to.
const CONFIG = { displaylogo: false, responsive: true, showSendToCloud: false, plotlyServerURL: "" };
const figures = JSON.parse(document.getElementById("data").textContent);
figures.forEach(({ data, layout }, i) => {
  const common = { font: { family: "system-ui, sans-serif", size: 11 }, hovermode: "closest" };
  window.Plotly.newPlot(`plot${i}`, data, { ...common, ...layout }, CONFIG);
});
document.body.dataset.drawn = String(figures.length);
