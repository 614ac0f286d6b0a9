"""Photos as the world has them: read when they are asked for, from files or from an archive.

`Photos` are the `Images` of a catalogue. A photo that is missing or damaged does not stop a run
over a hundred thousand: a blank picture stands in for it, and `unreadable` says which and why. What
looks at pictures has nothing to see on a blank one (`saers.extract` gives it no attribute). An
archive is opened anew for each request: nothing stays open, so a fork or a pickle takes the photos
along.
"""

import io
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, ImageOps

from explainrec_lab.data.archives import contents, opened
from explainrec_lab.data.contracts import check_ids

# Value of the pixels of a stand-in, and of what fills a photo up to a square.
BLANK = 255


class Photos:
    """Pictures by item id, each padded to a square of `size` pixels.

    Args:
        paths: one file an item, in id order; with `archive`, names of its members.
        size: pixels of a picture's side.
        archive: a zip archive that holds the photos.

    Attributes:
        unreadable: item -> why its photo could not be read, for those tried so far.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(
        self, paths: Sequence[str | Path], size: int = 224, *, archive: str | Path | None = None
    ) -> None:
        if size < 1:
            raise ValueError(f"size: {size} pixels must be at least 1")
        self.paths, self.size = [Path(path) for path in paths], size
        self.archive = None if archive is None else Path(archive)
        self.unreadable: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, items: Any) -> UInt8[ndarray, "*item 3 size size"]:
        """Pictures of one item (an int) or several (a slice or ids)."""
        asked = np.arange(len(self))[items] if isinstance(items, slice) else items
        pictures = self._stack(check_ids("items", asked, len(self), "item"))
        return pictures[0] if np.ndim(asked) == 0 else pictures

    def _stack(self, items: ndarray) -> UInt8[ndarray, "item 3 size size"]:
        """Raises DataNotFound or ValueError for the archive as a whole: see `opened`."""
        pictures = np.full((len(items), 3, self.size, self.size), BLANK, np.uint8)
        home = self.archive
        steps = f"{home.name} is not in the folder {home.parent}" if home else ""
        with opened(home, steps) if home else nullcontext() as archive:
            for row, item in enumerate(items.tolist()):
                path = self.paths[item]
                try:
                    member = archive and io.BytesIO(contents(archive, path.as_posix()))
                    pictures[row] = self._picture(member or path)
                except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
                    self.unreadable[item] = f"{path.name}: {error or type(error).__name__}"
        return pictures

    def _picture(self, source: Path | IO[bytes]) -> UInt8[ndarray, "3 size size"]:
        with Image.open(source) as photo:
            upright = ImageOps.exif_transpose(photo).convert("RGB")
        square = ImageOps.pad(upright, (self.size, self.size), color=(BLANK,) * 3)
        return np.asarray(square).transpose(2, 0, 1)
