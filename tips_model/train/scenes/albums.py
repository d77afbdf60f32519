"""The albums of the drawn photos: date, place, camera and contents of each.

Pure data. A backdrop is a list of layers from top to bottom: where each begins (fraction of the
height) and its colour at the top and at the bottom of the layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

RGB = tuple[int, int, int]
Layer = tuple[float, RGB, RGB]


@dataclass(frozen=True, slots=True)
class Camera:
    """Camera facts for EXIF; `prefix` begins its file names."""

    make: str
    model: str
    lens: str
    f_number: float
    focal_length: float
    prefix: str


@dataclass(frozen=True, slots=True)
class Album:
    """A folder of photos. `place` is latitude and longitude, or None for an album without GPS."""

    folder: str
    first_day: date
    days: int
    place: tuple[float, float] | None
    backdrops: tuple[str, ...]
    things: tuple[str, ...]


CAMERAS: tuple[Camera, ...] = (
    Camera("Fabrikam", "Pocket 5", "Pocket 5 4.2mm f/1.8", 1.8, 4.2, "IMG_"),
    Camera("Contoso", "D-40", "Contoso 18-55mm f/3.5-5.6", 5.6, 35.0, "DSC0"),
)

BACKDROPS: dict[str, tuple[Layer, ...]] = {
    "beach": (
        (0.0, (140, 200, 245), (225, 242, 252)),
        (0.42, (60, 150, 195), (110, 190, 205)),
        (0.6, (238, 217, 168), (246, 230, 190)),
    ),
    "sea": ((0.0, (120, 200, 235), (60, 150, 205)), (0.55, (45, 125, 185), (20, 80, 140))),
    "dusk": ((0.0, (90, 80, 140), (250, 180, 130)), (0.65, (75, 65, 95), (50, 45, 70))),
    "meadow": ((0.0, (150, 210, 245), (228, 244, 250)), (0.5, (150, 200, 100), (105, 170, 80))),
    "hills": (
        (0.0, (175, 215, 240), (240, 246, 246)),
        (0.4, (130, 170, 150), (120, 165, 135)),
        (0.58, (120, 180, 95), (90, 150, 75)),
    ),
    "snow": ((0.0, (150, 185, 220), (215, 228, 240)), (0.5, (240, 245, 250), (220, 232, 244))),
    "street": ((0.0, (215, 225, 232), (235, 232, 225)), (0.62, (120, 122, 128), (95, 97, 104))),
    "wall": ((0.0, (244, 236, 222), (232, 220, 202)),),
    "mint": ((0.0, (205, 235, 222), (176, 216, 202)),),
    "table": ((0.0, (240, 234, 222), (230, 222, 208)), (0.55, (196, 148, 102), (172, 122, 80))),
    "party": ((0.0, (255, 228, 236), (250, 208, 222)),),
    "stage": ((0.0, (52, 40, 80), (96, 60, 120)), (0.7, (70, 48, 40), (52, 36, 32))),
    "night": ((0.0, (18, 26, 60), (52, 66, 120)), (0.72, (28, 46, 48), (20, 34, 38))),
    "desk": ((0.0, (222, 230, 238), (206, 216, 228)), (0.6, (224, 208, 186), (210, 190, 164))),
}

ALBUMS: tuple[Album, ...] = (
    Album(
        "2023/Coast trip", date(2023, 7, 8), 9, (43.4832, -1.5586), ("beach", "sea", "dusk"),
        ("crab", "shell", "sailboat", "umbrella", "fish", "dolphin", "whale", "octopus", "turtle",
         "anchor", "palm tree", "sunglasses", "ice cream", "shark", "sun", "pineapple"),
    ),
    Album(
        "2023/Garden", date(2023, 5, 14), 60, (48.1371, 11.5754), ("meadow", "mint"),
        ("sunflower", "rose", "tulip", "bee", "butterfly", "ladybug", "snail", "mushroom", "frog",
         "carrot", "tomato", "strawberry", "cherry", "pear", "spider", "cat"),
    ),
    Album(
        "2023/Winter", date(2023, 12, 3), 25, (47.2692, 11.4041), ("snow", "night"),
        ("snowman", "christmas tree", "snowflake", "pine tree", "penguin", "gift", "bell", "candle",
         "star", "moon", "bear", "fox"),
    ),
    Album(
        "2024/Birthday", date(2024, 3, 16), 1, None, ("party", "table"),
        ("birthday cake", "balloon", "gift", "crown", "lollipop", "doughnut", "ice cream", "pizza",
         "popcorn", "french fries", "camera", "ring", "dog"),
    ),
    Album(
        "2024/Farm visit", date(2024, 6, 1), 2, (52.3702, 9.7332), ("meadow", "hills"),
        ("cow", "pig", "sheep", "horse", "rooster", "chick", "duck", "tractor", "rabbit", "apple",
         "corn", "pumpkin", "house", "camel"),
    ),
    Album(
        "2024/City weekend", date(2024, 9, 20), 3, (48.8566, 2.3522), ("street", "dusk"),
        ("bus", "car", "truck", "fire engine", "motorcycle", "bicycle", "castle", "helicopter",
         "airplane", "croissant", "coffee cup", "high heel", "top hat", "racing car"),
    ),
    Album(
        "2024/Concert", date(2024, 11, 9), 1, (50.1109, 8.6821), ("stage",),
        ("guitar", "trumpet", "drum", "saxophone", "microphone", "headphones", "beer mug",
         "wine glass", "dress", "necktie"),
    ),
    Album(
        "2025/Zoo", date(2025, 4, 12), 1, (52.5079, 13.3376), ("hills", "meadow"),
        ("lion", "tiger", "elephant", "rhinoceros", "monkey", "koala", "panda", "crocodile",
         "snake", "owl", "eagle", "scorpion", "turtle", "unicorn", "squirrel"),
    ),
    Album(
        "2025/Mountain hike", date(2025, 8, 2), 6, (46.6863, 7.8632), ("hills", "snow"),
        ("tent", "backpack", "volcano", "eagle", "squirrel", "pine tree", "maple leaf", "cactus",
         "rainbow", "cloud", "telescope", "flame", "hammer"),
    ),
    Album(
        "2025/Kitchen", date(2025, 1, 18), 200, (48.1371, 11.5754), ("table", "wall"),
        ("hamburger", "hot dog", "cheese", "avocado", "eggplant", "lemon", "banana", "watermelon",
         "grapes", "kiwi", "chili pepper", "apple", "coffee cup"),
    ),
    Album(
        "2025/Desk", date(2025, 2, 3), 240, None, ("desk", "wall"),
        ("laptop", "book", "pencil", "scissors", "light bulb", "alarm clock", "watch", "key",
         "padlock", "camera", "television", "dice", "trophy", "soccer ball", "basketball",
         "football", "rocket", "diamond", "wrench", "t-shirt", "shield"),
    ),
)  # fmt: skip
"""Every thing is the main subject of one photo, so there are as many photos as things."""
