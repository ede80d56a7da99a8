"""What can be measured of a page's accessibility without asking anybody: rules of WCAG 2.2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Runs in the page; returns a sentence for each fault.
_LOOK: Final = """() => {
  const faults = [];
  const told = (element) => element.tagName.toLowerCase() + ' "' +
    (element.innerText || element.name || element.id || '').slice(0, 40) + '"';
  const parsed = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return {r, g, b, a};
  };
  const light = ({r, g, b}) => {
    const [x, y, z] = [r, g, b].map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const contrast = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const found = parsed(getComputedStyle(each).backgroundColor);
      if (found.a === 1) return found;
    }
    return parsed(getComputedStyle(document.documentElement).colorScheme.includes('dark')
      && matchMedia('(prefers-color-scheme: dark)').matches ? 'rgb(18,18,18)' : 'rgb(255,255,255)');
  };
  const seen = [...document.body.querySelectorAll('*')].filter((each) => each.offsetParent);
  for (const element of seen) {
    const style = getComputedStyle(element);
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (own || element.matches('input')) {
      const found = contrast(parsed(style.color), ground(element));
      if (found < 4.5) faults.push(`1.4.3 contrast ${found.toFixed(2)}: ${told(element)}`);
    }
    if (element.matches('input, button')) {
      const around = ground(element.parentElement);
      const edge = parseFloat(style.borderTopWidth) ? parsed(style.borderTopColor) : around;
      const found = Math.max(contrast(edge, around),
        contrast(parsed(style.backgroundColor), around));
      if (found < 3) faults.push(`1.4.11 edge ${found.toFixed(2)}: ${told(element)}`);
      const {width, height} = element.getBoundingClientRect();
      if (Math.min(width, height) < 24) faults.push(`2.5.8 too small: ${told(element)}`);
    }
    for (const name of ['aria-describedby', 'aria-labelledby'])
      for (const id of (element.getAttribute(name) || '').split(' ').filter(Boolean))
        if (!document.getElementById(id)) faults.push(`1.3.1 no ${id}: ${told(element)}`);
  }
  for (const field of document.querySelectorAll('input:not([type=hidden])')) {
    if (!field.labels.length) faults.push(`3.3.2 no label: ${told(field)}`);
    if (!field.autocomplete) faults.push(`1.3.5 no purpose: ${told(field)}`);
  }
  for (const button of document.querySelectorAll('button, a'))
    if (!(button.innerText.trim() || button.ariaLabel)) faults.push('4.1.2 no name');
  const ids = [...document.querySelectorAll('[id]')].map((each) => each.id);
  if (new Set(ids).size !== ids.length) faults.push('4.1.1 an id stands twice');
  const levels = [...document.querySelectorAll('h1,h2,h3,h4')].map((each) => +each.tagName[1]);
  if (levels.filter((level) => level === 1).length !== 1 || levels[0] !== 1)
    faults.push('1.3.1 not one h1 at first');
  if (levels.some((level, at) => at && level > levels[at - 1] + 1))
    faults.push('1.3.1 a level of headings is left out');
  if (document.documentElement.lang !== 'en') faults.push('3.1.1 no language');
  if (!document.title.trim()) faults.push('2.4.2 no title');
  if (document.querySelectorAll('main').length !== 1) faults.push('1.3.1 no main');
  const viewport = document.querySelector('meta[name=viewport]');
  if (!viewport || /maximum|user-scalable/.test(viewport.content)) faults.push('1.4.4 no zoom');
  if (document.documentElement.scrollWidth > innerWidth) faults.push('1.4.10 wider than seen');
  if (document.querySelector('[aria-invalid]') && !document.querySelector('[role=alert]'))
    faults.push('3.3.1 a wrong field without a word');
  return faults;
}"""
_OUTLINE: Final = """() => {
  const {outlineStyle, outlineWidth} = getComputedStyle(document.activeElement);
  return outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2
    && document.activeElement !== document.body;
}"""
# What 1280 pixels are at 400 % (WCAG 1.4.10).
NARROW: Final = {"width": 320, "height": 640}
WIDE: Final = {"width": 1024, "height": 800}


def faults(page: Page) -> list[str]:
    """Return what is wrong with a page in light and dark, narrow and wide."""
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found += [f"{scheme}: {each}" for each in page.evaluate(_LOOK)]
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    found += [f"narrow: {each}" for each in page.evaluate(_LOOK)]
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    page.keyboard.press("Tab")
    if page.evaluate("document.activeElement === document.body"):
        # That was the last one; the first comes next.
        page.keyboard.press("Tab")
    if page.locator("button, a, input:not([type=hidden])").count() and not page.evaluate(_OUTLINE):
        found.append("2.4.7 the focus is not seen")
    return found
