"""A real folder; being cut off is being moved away, as an unmounted disk is."""

import asyncio
import shutil
import tempfile
from pathlib import Path


class Peer:
    type = "file"

    def __init__(self):
        self.secrets = {}
        self.connections = {}
        self.settings = {"allow_code": True}
        self.base = Path(tempfile.mkdtemp(prefix="wfs-files-"))
        self.folder = self.base / "incoming"

    async def start(self):
        self.folder.mkdir()

    async def stop(self):
        shutil.rmtree(self.base)

    async def cut(self):
        self.folder.rename(self.base / "away")

    async def restore(self):
        (self.base / "away").rename(self.folder)

    def config(self):
        return {"type": "file", "folder": str(self.folder), "patterns": ["**/*.json"], "every": 1, "settle": 0,
                "start": "earliest"}  # fmt: skip

    async def publish(self, numbers):
        for number in numbers:
            part = self.base / f"{number}.part"
            part.write_text(f'{{"n": {number}}}')
            folder = self.folder / str(number % 7)
            folder.mkdir(exist_ok=True)
            part.rename(folder / f"{number}.json")
            if number % 20 == 0:
                await asyncio.sleep(0)  # noqa: TID251 -- a turn of the loop

    def number(self, data):
        return int(Path(data["name"]).stem)
