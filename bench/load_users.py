"""What the clients of `bench/load.py` do, for locust: each asks again as soon as it is answered."""

from __future__ import annotations

import random

from locust import FastHttpUser, constant, task

from search.word_lists import word_list

COLOURS = ("red", "blue", "green", "yellow", "black", "white", "brown", "grey", "orange", "pink")
SIZES = ("", "small ", "large ")
THINGS = word_list("concepts")


def words() -> str:
    """A sentence, one of some thousands: most were not asked before."""
    return f"{random.choice(SIZES)}{random.choice(COLOURS)} {random.choice(THINGS)}"


class Client(FastHttpUser):
    """A client that knows some photos."""

    abstract = True
    wait_time = constant(0)
    known: tuple[str, ...] = ()

    def on_start(self) -> None:
        """Learn of some photos, as a page of hits shows them."""
        body = {"q": "dog", "all": True, "limit": 60}
        with self.rest("POST", "/v1/search", json=body, name="start") as answer:
            self.known = tuple(hit["id"] for hit in answer.js["hits"])

    def ask(self, route: str) -> None:
        """A question in words, 20 hits."""
        body = {"q": words(), "all": True}
        with self.rest("POST", f"/v1/{route}", json=body, name=route):
            pass


class Searching(Client):
    """Only searches."""

    @task
    def search(self) -> None:
        """Photos for words."""
        self.ask("search")


class Mixed(Client):
    """As a page of results has it: a search, places, and the thumbnails of some hits."""

    @task(2)
    def search(self) -> None:
        """Photos for words."""
        self.ask("search")

    @task(1)
    def regions(self) -> None:
        """Places for words."""
        self.ask("regions")

    @task(7)
    def thumbnail(self) -> None:
        """A thumbnail of a photo."""
        address = f"/v1/photos/{random.choice(self.known)}/thumbnail"
        self.client.get(address, name="thumbnail")
