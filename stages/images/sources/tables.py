"""Real tables for charts, out of the package `vega_datasets`: read from its own folder, no network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING

from contextrl_data.pipeline.errors import MissingExtra

if TYPE_CHECKING:
    import pandas as pd

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Series:
    """Named numbers of one real table."""

    table: str
    title: str
    axis: str
    """What the numbers are, with their unit."""
    names: tuple[str, ...]
    values: tuple[float, ...]
    ordered: bool = False
    """The names are times: a line through them means something."""
    parts: bool = False
    """The numbers are parts of one whole: a pie means something."""


@dataclass(frozen=True)
class Points:
    """Measured pairs of numbers of one real table."""

    table: str
    title: str
    x_axis: str
    y_axis: str
    x: tuple[float, ...]
    y: tuple[float, ...]


def read_table(name: str) -> pd.DataFrame:
    """One of the package's tables.

    Raises:
        MissingExtra: the package is not installed.
    """
    import pandas as pd

    try:
        path = resources.files("vega_datasets") / "_data" / name
    except ModuleNotFoundError as error:
        raise MissingExtra("images", "drawing charts from real tables") from error
    with path.open("rb") as file:
        return pd.read_json(file) if name.endswith(".json") else pd.read_csv(file)


@lru_cache(maxsize=1)
def all_series() -> tuple[Series, ...]:
    """Every series there is, in a fixed order."""
    return tuple(
        one for make in (_barley, _electricity, _weather, _stocks, _cars, _jobs, _wheat, _crimea) for one in make()
    )


def _series(table: str, title: str, axis: str, items: pd.Series, ordered: bool = False, parts: bool = False) -> Series:
    return Series(
        table, title, axis, tuple(map(str, items.index)), tuple(float(round(v, 1)) for v in items), ordered, parts
    )


def _barley() -> Iterator[Series]:
    for (site, year), part in read_table("barley.json").groupby(["site", "year"]):
        items = part.set_index("variety")["yield"]
        yield _series("barley", f"Barley yield at {site}, {year}", "Bushels per acre", items)


def _electricity() -> Iterator[Series]:
    table = read_table("iowa-electricity.csv")
    table["year"] = table["year"].str[:4]
    for year, part in table.groupby("year"):
        items = part.set_index("source")["net_generation"] / 1000
        yield _series("iowa-electricity", f"Electricity in Iowa, {year}", "Terawatt hours", items, parts=True)
    for source, part in table.groupby("source"):
        items = part.set_index("year")["net_generation"] / 1000
        yield _series("iowa-electricity", f"Electricity in Iowa: {source}", "Terawatt hours", items, ordered=True)


def _weather() -> Iterator[Series]:
    table = read_table("seattle-weather.csv")
    table["year"], table["month"] = table["date"].str[:4], table["date"].str[5:7].astype(int)
    for year, part in table.groupby("year"):
        counts = part["weather"].value_counts().sort_index()
        yield _series("seattle-weather", f"Weather in Seattle, {year}", "Days", counts, parts=True)
        for column, title, axis, how in (
            ("precipitation", "Rain in Seattle", "Millimetres", "sum"),
            ("temp_max", "Warmest hours in Seattle", "Mean daily maximum (°C)", "mean"),
            ("wind", "Wind in Seattle", "Mean speed (m/s)", "mean"),
        ):
            items = part.groupby("month")[column].agg(how)
            items.index = [MONTHS[month - 1] for month in items.index]
            yield _series("seattle-weather", f"{title}, {year}", axis, items, ordered=True)


def _stocks() -> Iterator[Series]:
    table = read_table("stocks.csv")
    table["year"], table["month"] = table["date"].str[-4:], table["date"].str[:3]
    for (symbol, year), part in table.groupby(["symbol", "year"]):
        if len(part) == len(MONTHS):
            items = part.set_index("month")["price"]
            yield _series("stocks", f"Share price of {symbol}, {year}", "US dollars", items, ordered=True)


def _cars() -> Iterator[Series]:
    table = read_table("cars.json")
    table["Year"] = table["Year"].astype(str).str[:4]
    table["Maker"] = table["Name"].str.split().str[0].str.title()
    for year, part in table.groupby("Year"):
        counts = part["Origin"].value_counts().sort_index()
        yield _series("cars", f"Car models by origin, {year}", "Models", counts, parts=True)
        for column, axis in (("Miles_per_Gallon", "Miles per gallon"), ("Horsepower", "Horsepower")):
            items = part.groupby("Maker")[column].mean().dropna()
            yield _series("cars", f"Car makers, {year}", f"{axis} (mean)", items)


def _jobs() -> Iterator[Series]:
    table = read_table("us-employment.csv").rename(columns=lambda name: name.replace("_", " "))
    wanted = ["construction", "manufacturing", "retail trade", "transportation and warehousing", "information"]
    wanted += ["financial activities", "education and health services", "leisure and hospitality", "government"]
    for _, row in table[table["month"].str[5:7].isin(["01", "07"])].iterrows():
        month = MONTHS[int(row["month"][5:7]) - 1]
        items = row[wanted].astype(float) / 1000
        yield _series("us-employment", f"US jobs, {month} {row['month'][:4]}", "Millions", items)


def _wheat() -> Iterator[Series]:
    table = read_table("wheat.json").set_index("year")
    yield _series("wheat", "Price of wheat in England", "Shillings per quarter", table["wheat"], ordered=True)
    yield _series("wheat", "Wages in England", "Shillings per week", table["wages"].dropna(), ordered=True)


def _crimea() -> Iterator[Series]:
    table = read_table("crimea.json")
    for _, row in table.iterrows():
        items = row[["wounds", "other", "disease"]].astype(float)
        month = str(row["date"])[:7]
        yield _series("crimea", f"Army deaths in the Crimea, {month}", "Deaths", items, parts=bool(min(items) > 0))


@lru_cache(maxsize=1)
def all_points() -> tuple[Points, ...]:
    """Every cloud of points there is, in a fixed order."""
    return tuple(_points())


def _points() -> Iterator[Points]:
    cars = read_table("cars.json")
    labels = {
        "Horsepower": "Horsepower",
        "Miles_per_Gallon": "Miles per gallon",
        "Weight_in_lbs": "Weight (lb)",
        "Acceleration": "0 to 60 mph (s)",
        "Displacement": "Displacement (cu in)",
    }
    for origin, part in cars.groupby("Origin"):
        for x in labels:
            for y in labels:
                clean = part[[x, y]].dropna() if x != y else part[:0]
                if len(clean):
                    yield Points("cars", f"Cars from {origin}", labels[x], labels[y], *_columns(clean))
    measures = {
        "sepalLength": "Sepal length (cm)",
        "sepalWidth": "Sepal width (cm)",
        "petalLength": "Petal length (cm)",
    }
    for species, part in read_table("iris.json").groupby("species"):
        for x, y in (("sepalLength", "sepalWidth"), ("sepalLength", "petalLength"), ("petalLength", "sepalWidth")):
            yield Points("iris", f"Iris {species}", measures[x], measures[y], *_columns(part[[x, y]]))


def _columns(part: pd.DataFrame) -> tuple[tuple[float, ...], tuple[float, ...]]:
    first, second = part.columns
    return tuple(map(float, part[first])), tuple(map(float, part[second]))
