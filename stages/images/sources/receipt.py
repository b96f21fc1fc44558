"""Shop receipts: items with quantities and prices, a total, what was paid."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from contextrl_data.stages.images.sources.canvas import Canvas
from contextrl_data.stages.images.sources.facts import Asked, Facts, changed, replaced, shuffled

if TYPE_CHECKING:
    from PIL import Image

_SHOPS = ("CORNER SHOP", "GREEN MARKET", "BAKERY MILL", "STATION KIOSK", "FARM STORE")
_GOODS = {
    "Bread": 280, "Milk": 119, "Apples": 245, "Cheese": 499, "Coffee": 649, "Butter": 229, "Eggs": 329, "Rice": 189,
    "Tea": 275, "Honey": 559, "Pasta": 149, "Juice": 219, "Soap": 95, "Tomatoes": 265, "Yoghurt": 89, "Chocolate": 159,
}  # fmt: skip


class Receipt:
    """A fact sheet holds the head, the items (name, quantity, unit price in cents), and the payment."""

    name: ClassVar[str] = "receipt"
    domain: ClassVar[str] = "natural"
    licence: ClassVar[str] = "CC0-1.0"

    def sample(self, rng: Random) -> Facts:
        """Two to six items; paid in cash or by card."""
        goods = rng.sample(sorted(_GOODS), rng.choice([2, 3, 4, 5, 6]))
        return {
            "shop": rng.choice(_SHOPS),
            "date": f"{rng.randint(1, 28):02}.{rng.randint(1, 12):02}.{rng.randint(2018, 2025)}",
            "time": f"{rng.randint(8, 20):02}:{rng.randint(0, 59):02}",
            "items": [[name, rng.choice([1, 1, 1, 2, 3, 4]), _GOODS[name] + 5 * rng.randint(-8, 8)] for name in goods],
            "cash": rng.random() < 0.6,
            "paper": rng.choice(["#fffdf5", "#ffffff", "#f6f6f1"]),
            "face": rng.choice(["mono", "mono", ""]),
        }

    def draw(self, facts: Facts) -> Image.Image:
        """The slip; the number of lines is the height."""
        items = facts["items"]
        canvas = Canvas(300, 196 + 22 * len(items), "#9a9a9a", scale=2)
        face = facts["face"]
        canvas.rectangle((10, 8, 290, canvas.height - 8), facts["paper"])
        canvas.text((150, 28), facts["shop"], 16, face="bold")
        canvas.text((150, 50), f"{facts['date']}  {facts['time']}", 11, face=face)
        canvas.dashed((22, 64), (278, 64), "#444444", 1)
        y = 80.0
        for name, count, price in items:
            canvas.text((22, y), f"{count} x {name}", 12, anchor="lm", face=face)
            canvas.text((278, y), _money(count * price), 12, anchor="rm", face=face)
            y += 22
        canvas.dashed((22, y - 6), (278, y - 6), "#444444", 1)
        lines = [("TOTAL", _total(items), "bold")]
        if facts["cash"]:
            lines += [("CASH", _paid(items), face), ("CHANGE", _paid(items) - _total(items), face)]
        else:
            lines += [("CARD", _total(items), face)]
        for name, cents, style in lines:
            y += 18
            canvas.text((22, y - 6), name, 13, anchor="lm", face=style)
            canvas.text((278, y - 6), _money(cents), 13, anchor="rm", face=style)
        canvas.text((150, y + 20), "THANK YOU", 11, face=face)
        return canvas.picture()

    def ask(self, facts: Facts) -> list[Asked]:
        """Total, change, items, the dearest line, the price of one piece, and how it was paid."""
        items = facts["items"]
        pieces = sum(count for _, count, _ in items)
        found = [
            Asked("What is the total on the receipt?", _money(_total(items))),
            Asked("How many pieces were bought in all?", str(pieces)),
            Asked("Was the receipt paid in cash or by card?", "cash" if facts["cash"] else "card", ("cash", "card")),
            Asked("On which date was the receipt printed?", facts["date"]),
        ]
        if facts["cash"]:
            found.append(Asked("How much change was given?", _money(_paid(items) - _total(items))))
        sums = [count * price for _, count, price in items]
        if sums.count(max(sums)) == 1:
            names = tuple(name for name, _, _ in items)
            found.append(
                Asked("Which line of the receipt costs the most?", names[sums.index(max(sums))], names, "|".join(names))
            )
        for name, count, price in items:
            found.append(Asked(f"How many pieces of {name} were bought?", str(count)))
            if count > 1:
                found.append(Asked(f"What does one piece of {name} cost?", _money(price)))
        return found

    def changes(self, facts: Facts, rng: Random) -> Iterator[Facts]:
        """Another quantity, price, date or way to pay; the sums follow."""
        items: list[list[Any]] = facts["items"]
        found: list[dict[str, Any]] = [{"cash": not facts["cash"]}]
        day, rest = facts["date"][:2], facts["date"][2:]
        found += [{"date": f"{value:02}{rest}"} for value in range(1, 29) if f"{value:02}" != day]
        for place, (name, count, price) in enumerate(items):
            found += [{"items": replaced(items, place, [name, n, price])} for n in range(1, 6) if n != count]
            found += [{"items": replaced(items, place, [name, count, price + 50 * n])} for n in (1, 2, 5, 9, 14)]
        for one in shuffled(found, rng):
            yield changed(facts, **one)


def _total(items: list[list[Any]]) -> int:
    return sum(count * price for _, count, price in items)


def _paid(items: list[list[Any]]) -> int:
    """The next full five."""
    return -(-_total(items) // 500) * 500


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"
