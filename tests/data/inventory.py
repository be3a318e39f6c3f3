"""A small stock keeping module: items, a warehouse that holds them, and reports on what is in it.

Written for pie.cpp's tests, as a file of ordinary shape: classes, helpers, repeated names.
"""

import csv
import datetime
from collections import defaultdict


class StockError(Exception):
    """Raised when an operation would leave the stock in an impossible state."""


class Item:
    """One kind of article, known by its code."""

    def __init__(self, code, name, unit_price, reorder_level=0):
        if unit_price < 0:
            raise StockError(f"the price of {code} is negative")
        self.code = code
        self.name = name
        self.unit_price = unit_price
        self.reorder_level = reorder_level

    def value_of(self, amount):
        return round(self.unit_price * amount, 2)


class Movement:
    """A change of the amount of one item, with its date and its reason."""

    def __init__(self, code, amount, reason, day=None):
        self.code = code
        self.amount = amount
        self.reason = reason
        self.day = day or datetime.date.today()


class Warehouse:
    """Items and how many there are of each; every change is kept as a movement."""

    def __init__(self):
        self.items = {}
        self.amounts = defaultdict(int)
        self.movements = []

    def add_item(self, item):
        if item.code in self.items:
            raise StockError(f"{item.code} is known already")
        self.items[item.code] = item

    def receive(self, code, amount, reason="delivery"):
        if amount <= 0:
            raise StockError("only positive amounts can be received")
        self.find(code)
        self.amounts[code] += amount
        self.movements.append(Movement(code, amount, reason))

    def issue(self, code, amount, reason="sale"):
        self.find(code)
        if amount > self.amounts[code]:
            raise StockError(f"there are only {self.amounts[code]} of {code}")
        self.amounts[code] -= amount
        self.movements.append(Movement(code, -amount, reason))

    def find(self, code):
        if code not in self.items:
            raise StockError(f"there is no item {code}")
        return self.items[code]

    def total_value(self):
        return sum(self.find(code).value_of(amount) for code, amount in self.amounts.items())

    def to_reorder(self):
        return [item for item in self.items.values() if self.amounts[item.code] < item.reorder_level]

    def movements_of(self, code):
        return [movement for movement in self.movements if movement.code == code]


def load_items(path):
    """Reads a warehouse from a CSV file with the columns code, name, unit_price, reorder_level."""
    warehouse = Warehouse()
    with open(path, newline="") as source:
        for row in csv.DictReader(source):
            item = Item(row["code"], row["name"], float(row["unit_price"]), int(row["reorder_level"]))
            warehouse.add_item(item)
    return warehouse


def print_report(warehouse):
    """Prints one line for each item, and the total."""
    for item in warehouse.items.values():
        amount = warehouse.amounts[item.code]
        print(f"{item.code:10} {item.name:30} {amount:6} {item.value_of(amount):10.2f}")
    print(f"total value: {warehouse.total_value():.2f}")


def monthly_turnover(warehouse, year, month):
    """The value of all sales in one month."""
    turnover = 0
    for movement in warehouse.movements:
        if movement.day.year == year and movement.day.month == month and movement.amount < 0:
            turnover += warehouse.find(movement.code).value_of(-movement.amount)
    return turnover
