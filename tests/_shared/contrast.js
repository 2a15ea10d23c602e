// WCAG contrast of every text against what is painted behind it; returns the texts that fall short.
(() => {
  const parse = (text) => {
    const [r, g, b, a = 1] = (text.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
    return [r, g, b, a];
  };
  const over = (top, below) => top.slice(0, 3).map((c, i) => c * top[3] + below[i] * (1 - top[3])).concat(1);
  const linear = (c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ratio = (a, b) => {
    const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.unshift(parse(getComputedStyle(e).backgroundColor));
    return layers.reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const short = [], seen = { html: 0, svg: 0 };
  const judge = (what, color, background, least) => {
    const found = ratio(over(color, background), background);
    if (found < least) short.push(`${what}: ${found.toFixed(2)} < ${least}`);
  };

  for (const element of document.querySelectorAll("body *:not(script):not(svg *)")) {
    const own = [...element.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join("");
    if (!own || !element.getClientRects().length) continue;
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && parseInt(style.fontWeight) >= 700);
    judge(`${element.tagName} ${own.slice(0, 40)}`, parse(style.color), behind(element), large ? 3 : 4.5);
    seen.html++;
  }

  // text in drawings is outlines: groups of glyphs, scaled from the font's units
  const text = "g[transform*='scale(']";
  for (const group of document.querySelectorAll(`.drawing svg ${text}`)) {
    const glyph = group.querySelector("use"), drawing = group.closest(".drawing");
    if (!glyph || !group.getClientRects().length) continue;
    group.scrollIntoView({ block: "center", inline: "center" });
    const box = group.getBoundingClientRect(), [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const style = getComputedStyle(glyph), fill = parse(style.fill);
    const painted = document.elementsFromPoint(x, y)
      .filter((e) => e.tagName === "path" && !e.closest(text) && getComputedStyle(e).fill !== "none");
    let background = behind(drawing);
    for (const shape of painted.reverse()) {
      const under = getComputedStyle(shape), color = parse(under.fill);
      background = over([...color.slice(0, 3), color[3] * under.fillOpacity * under.opacity], background);
    }
    judge(`text at ${x.toFixed()}, ${y.toFixed()}`, [...fill.slice(0, 3), fill[3] * style.fillOpacity], background, 4.5);
    seen.svg++;
  }
  return { short, seen };
})()
