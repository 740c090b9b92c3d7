// Which texts on the page have less contrast to what is behind them than WCAG's AA asks for.
(() => {
  const LEAST = 4.5;

  const channels = (color) => {
    const numbers = color.match(/[\d.]+/g).map(Number);
    const whole = color.startsWith("color(") ? 255 : 1;
    return [...numbers.slice(0, 3).map((each) => each * whole), numbers[3] ?? 1];
  };

  const luminance = ([red, green, blue]) => {
    const linear = (each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = [red, green, blue].map((each) => linear(each / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };

  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = channels(getComputedStyle(each).backgroundColor);
      if (color[3] === 1) return color;
    }
    return [255, 255, 255, 1];
  };

  const contrast = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };

  const isWritten = (node) => node.nodeType === Node.TEXT_NODE && node.data.trim();
  const isText = (element) => [...element.childNodes].some(isWritten);
  return [...document.body.querySelectorAll("*")]
    .filter((element) => isText(element) && element.checkVisibility())
    .map((element) => [element, contrast(channels(getComputedStyle(element).color), ground(element))])
    .filter(([, found]) => found < LEAST)
    .map(([element, found]) => `${element.className} ${element.innerText} ${found.toFixed(2)}`);
})();
