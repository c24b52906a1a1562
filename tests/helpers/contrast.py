"""Contrast of texts on an open page, as WCAG 2 counts it."""

from __future__ import annotations

import re

from playwright.sync_api import Page

# WCAG AA of usual and of large texts.
USUAL, LARGE = 4.5, 3.0
LARGE_PIXELS, LARGE_BOLD_PIXELS, BOLD = 24.0, 18.66, 700
# Every text that is shown, with its color, those of what is behind it, its size and weight.
TEXTS = """() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!node.data.trim() || ['SCRIPT', 'STYLE', 'OPTION'].includes(parent.tagName)) continue;
    if (!parent.checkVisibility() || !parent.getClientRects().length) continue;
    const style = getComputedStyle(parent);
    const behind = [];
    for (let each = parent; each; each = each.parentElement) {
      behind.push(getComputedStyle(each).backgroundColor);
    }
    found.push({
      text: node.data.trim().slice(0, 40),
      where: `${parent.localName}.${parent.getAttribute('class') ?? ''}`,
      color: parent instanceof SVGElement ? style.fill : style.color,
      behind,
      pixels: parseFloat(style.fontSize),
      weight: Number(style.fontWeight),
    });
  }
  return found;
}"""
Color = tuple[float, float, float, float]


def low_contrasts(page: Page) -> list[str]:
    """Return the texts in view that stand out too little, each kind once."""
    texts = page.evaluate(TEXTS)
    assert texts, "the page shows no text"
    low = {}
    for text in texts:
        ratio = contrast(text["color"], text["behind"])
        bold = text["weight"] >= BOLD and text["pixels"] >= LARGE_BOLD_PIXELS
        least = LARGE if bold or text["pixels"] >= LARGE_PIXELS else USUAL
        if ratio < least:
            low[text["where"]] = f"{text['where']}: {ratio:.2f}, {text['text']!r}"
    return list(low.values())


def contrast(color: str, behind: list[str]) -> float:
    """Return the contrast of a color with the backgrounds behind it, the nearest first."""
    background: Color = (255.0, 255.0, 255.0, 1.0)
    for layer in reversed(behind):
        background = _over(_parsed(layer), background)
    pair = (_luminance(_over(_parsed(color), background)), _luminance(background))
    return (max(pair) + 0.05) / (min(pair) + 0.05)


def luminance(color: str) -> float:
    """Return a color's relative luminance, from 0 to 1."""
    return _luminance(_parsed(color))


def _parsed(color: str) -> Color:
    """Return red, green and blue up to 255, and alpha, from "rgb(...)" or "color(srgb ...)"."""
    space, _, inside = color.partition("(")
    numbers = [float(number) for number in re.findall(r"-?[\d.]+(?:e-?\d+)?", inside)]
    assert space in ("rgb", "rgba", "color") and len(numbers) in (3, 4), color
    scale = 255 if inside.startswith("srgb ") else 1
    red, green, blue = (scale * number for number in numbers[:3])
    return red, green, blue, (*numbers, 1.0)[3]


def _over(front: Color, back: Color) -> Color:
    """Return a color on top of an opaque one."""
    alpha = front[3]
    red, green, blue = (
        alpha * a + (1 - alpha) * b for a, b in zip(front[:3], back[:3], strict=True)
    )
    return red, green, blue, 1.0


def _luminance(color: Color) -> float:
    shares = (channel / 255 for channel in color[:3])
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
